import { writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onceDone } from './cleanup.ts'
import { run } from './process.ts'
import { assert, suite } from './suite.ts'

const test = suite('suite()')
const directory = await mkdtemp(join(tmpdir(), 'kretes-suite-'))
onceDone(() => rm(directory, { recursive: true }))

for (const [sentence, body, message] of [
  ['a throwing before()', "test.before(() => { throw new Error('no ground') }); test('a', () => {})", /no ground/],
  ['a throwing before.each()', "test.before.each(() => { throw new Error('not me') }); test('a', () => {})", /not me/],
  ['a throwing after.each()', "test.after.each(() => { throw new Error('nor me') }); test('a', () => {})", /nor me/],
  ['a throwing after()', "test.after(async () => { throw new Error('too late') }); test('a', () => {})", /too late/],
  ['a suite without a test', '', /it has no test/],
  ['a failing test', "test('a', () => { throw new Error('wrong') })", /wrong/],
  ['an unhandled rejection', "test('a', () => void Promise.reject(new Error('nobody cares')))", /nobody cares/],
  ['an early exit', "test('a', () => process.exit(0))", /ended during mine: a/],
  ['a test that never settles', "test('a', () => new Promise(() => {}))", /ended during mine: a/],
  ['a throwing file', "test('a', () => {}); throw new Error('half way')", /half way/],
  ['a step of the cleaning up that throws', "test('a', () => {}); onceDone(() => { throw new Error('dirt') })", /dirt/]
] as const) {
  test(`fails on ${sentence}`, async () => {
    const { code, stdout, stderr } = await runFile(body)
    assert.is.not(code, 0)
    assert.match(stdout + stderr, message)
  })
}

test('runs by itself after a top-level await, and ends well', async () => {
  const { code, stdout } = await runFile(
    "test('a', () => {}); await new Promise(r => setTimeout(r, 50)); test('b', () => {})"
  )
  assert.is(code, 0)
  assert.match(stdout, /Passed: {4}2/)
})

async function runFile(body: string) {
  const file = join(directory, `${Math.random()}.ts`)
  writeFileSync(
    file,
    `import { onceDone } from ${JSON.stringify(import.meta.resolve('./cleanup.ts'))}
     import { suite } from ${JSON.stringify(import.meta.resolve('./suite.ts'))}
     const test = suite('mine')
     ${body}`
  )
  return await run(process.execPath, [file])
}
