import { existsSync } from 'node:fs'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { examplesIn } from '../../scripts/check/examples.ts'
import { findGuides } from '../../scripts/check/links.ts'
import { ensureBuild } from '../helpers/build.ts'
import { run } from '../helpers/process.ts'
import { runtimes } from '../helpers/runtimes.ts'
import { assert, suite } from '../helpers/suite.ts'

const test = suite('the commands and configurations of README and guides')
const root = fileURLToPath(new URL('../..', import.meta.url))
assert.is(await ensureBuild(), undefined)
const texts = new Map(await Promise.all(findGuides(root).map(async path => [path, await read(path)] as const)))
const helps = new Map<string, Promise<string>>()

for (const [path, text] of texts) {
  for (const { line, text: script } of examplesIn(path, text, 'sh')) {
    test(`${path}:${line} is a script whose commands and options exist`, async () => {
      const { code, stderr } = await run('bash', ['-n', '-c', script])
      assert.is(code, 0, stderr)
      for (const command of commandsIn(script)) await checkCommand(command)
    })
  }
  for (const { line, text: json } of examplesIn(path, text, 'json')) {
    test(`${path}:${line} is JSON`, () => void JSON.parse(json))
  }
  for (const { line, text: yaml } of examplesIn(path, text, 'yaml')) {
    test(`${path}:${line} is YAML`, async () => {
      const [command = ''] = runtimes.bun
      const { code, stderr } = await run(command, ['--eval', `Bun.YAML.parse(${JSON.stringify(yaml)})`])
      assert.is(code, 0, stderr)
    })
  }
  test(`${path} names files of the package that exist`, () => {
    const files = [...text.matchAll(/node_modules\/kretes\/([\w./-]+)/g)].map(([, file = '']) => file)
    assert.equal(
      files.filter(file => !existsSync(join(root, file))),
      []
    )
  })
}

/** The calls of kretes in a script, without what is quoted. */
function commandsIn(script: string): string[] {
  const bare = script
    .replaceAll('\\\n', ' ')
    .replaceAll(/#.*$/gm, '')
    .replaceAll(/'[^']*'/g, "''")
  return [...bare.matchAll(/\b(?:kretes|ks|kretes\/dist\/cli\.js) ((?:bg|background)\b[^|&;)<>\n]*)/g)].map(
    ([, words = '']) => words
  )
}

async function checkCommand(words: string): Promise<void> {
  const [, command = ''] = /^\S+ ((?:cron|limits) [a-z]+|[a-z][a-z-]*)/.exec(words) ?? []
  const help = await helpOf(command)
  const options = [...words.matchAll(/(?<= )--?[a-z][a-z-]*/g)].map(([option]) => option)
  for (const option of options) {
    assert.ok(new RegExp(`(?:^|[ ,])${option}\\b`, 'm').test(help), `there is no ${option} in: ${words}`)
  }
}

/** What the command line says of one of its commands, or of the worker. */
function helpOf(command: string): Promise<string> {
  const known = helps.get(command) ?? askHelp(command)
  helps.set(command, known)
  return known
}

async function askHelp(command: string): Promise<string> {
  const { stdout } = await run(
    process.execPath,
    [join(root, 'dist/cli.js'), 'bg', ...command.split(' '), '--help'].filter(Boolean)
  )
  assert.match(stdout, `kretes background ${command}`.trim(), `there is no command ${command}`)
  return stdout
}

function read(path: string): Promise<string> {
  return readFile(join(root, path), 'utf8')
}
