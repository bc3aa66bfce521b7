import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { assert, suite } from '../helpers/suite.ts'
import { KEYS } from '../helpers/terminal.ts'
import { until } from '../helpers/until.ts'
import { COLOURS, createTerminalProgram, linesOf } from './terminal.ts'

const test = suite('the worker in a terminal')
const { directory, sql, open, openShell } = await createTerminalProgram()

test.before.each(() => sql`delete from graphile_worker._private_jobs`)

const schedule = (task: string, payload: object = {}): Promise<unknown> =>
  sql`select graphile_worker.add_job(${task}, ${JSON.stringify(payload)}::text::json)`

test('it shows its screen in the width that there is, and a line in colour for what happens', async () => {
  const terminal = open(['bg'], { columns: 50 })
  await terminal.see(/Ready for jobs \(Ctrl-C to stop\)/)
  const lines = linesOf(terminal)
  assert.ok(
    lines.some(line => /^ {2}kretes \d\S+$/.test(line)),
    lines.join('\n')
  )
  assert.equal(lines.slice(lines.indexOf('  tasks        Escape, Fail, Greet, SendEmail,')), [
    '  tasks        Escape, Fail, Greet, SendEmail,',
    '               Wait',
    '  concurrency  10',
    '',
    '  Ready for jobs (Ctrl-C to stop)'
  ])
  await schedule('Greet', { name: 'Ada' })
  await terminal.see(/› Greet \d+ {2}started\n\S+ · Greet \d+ {2}Hello, Ada {2}name=Ada\n\S+ ✓ Greet \d+ {2}\S+ m?s/)
  assert.match(terminal.text, `${GREEN}✓`)
  terminal.type(KEYS.ctrlC)
  assert.is((await terminal.exit).code, 0)
  assert.match(linesOf(terminal).at(-1) ?? '', / · Stopped$/)
  assert.is(terminal.isCursorShown, true)
})

test('the first Ctrl-C lets the running job finish, with exit code 0', async () => {
  await schedule('Wait', { file: 'go' })
  const terminal = open(['bg'], { columns: 100 })
  await terminal.see(/Wait \d+ {2}started/)
  terminal.type(KEYS.ctrlC)
  await terminal.see(/ · Stopping when the running job has ended; once more to stop at once/)
  await writeFile(join(directory, 'go'), '')
  assert.is((await terminal.exit).code, 0)
  assert.match(linesOf(terminal).at(-2) ?? '', / ✓ Wait \d+ {2}\S+ m?s$/)
  assert.equal([...(await sql`select from graphile_worker._private_jobs`)], [])
})

test('the second stops at once and puts the job back, with exit code 1', async () => {
  await schedule('Wait', { file: 'never', isStubborn: true })
  const terminal = open(['bg'], { columns: 100 })
  await terminal.see(/Wait \d+ {2}started/)
  terminal.type(KEYS.ctrlC)
  await terminal.see(/Stopping when/)
  const first = performance.now()
  await until(() => performance.now() - first > ECHO_MS, { what: 'a second signal that is none of the first' })
  terminal.type(KEYS.ctrlC)
  assert.is((await terminal.exit).code, 1)
  assert.match(linesOf(terminal).at(-1) ?? '', / ! Stopped; 1 job has been put back for another worker$/)
  const [job] = await sql`select locked_at, attempts from graphile_worker._private_jobs`
  assert.equal(job, { locked_at: null, attempts: 0 })
})

for (const [where, line, env] of [
  ['with NO_COLOR', 'kretes bg --once', { NO_COLOR: '1' }],
  ['in a terminal that knows none', 'TERM=dumb kretes bg --once', {}],
  ['where the output is piped', 'kretes bg --once | cat', {}]
] as const) {
  test(`there is no colour ${where}`, async () => {
    await schedule('Greet', { name: 'Ada' })
    const terminal = openShell(line, { env })
    assert.is((await terminal.exit).code, 0)
    assert.match(terminal.lines.join('\n'), / ✓ Greet \d+ {2}/)
    assert.not.match(terminal.text, COLOURS)
  })
}

const GREEN = '\u001b[32m'

/** For how long a signal counts as the one before. */
const ECHO_MS = 250
