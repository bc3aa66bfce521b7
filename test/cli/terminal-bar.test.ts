import { createWriteStream } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import { assert, suite } from '../helpers/suite.ts'
import { KEYS } from '../helpers/terminal.ts'
import { COLOURS, createTerminalProgram, linesOf } from './terminal.ts'

const test = suite('kretes background schedule --lines in a terminal')
const { directory, sql, shell, open, openShell } = await createTerminalProgram()
const COMMAND = ['bg', 'schedule', 'Greet', '--lines', 'many.jsonl']
const LINE = '{"name":"Ada"}\n'
await writeFile(join(directory, 'many.jsonl'), LINE.repeat(10_000))

test.before.each(() => sql`truncate graphile_worker._private_jobs`)

const count = async (): Promise<number> =>
  (await sql`select count(*)::int as count from graphile_worker._private_jobs`)[0]?.count

test('a bar grows, and goes away for the result', async () => {
  const terminal = open(COMMAND)
  assert.is((await terminal.exit).code, 0)
  assert.equal(linesOf(terminal), ['Scheduled 10,000 jobs of Greet'])
  const bars = terminal.text
    .split(EMPTY_LINE)
    .map(stripVTControlCharacters)
    .filter(drawn => drawn.includes('░ ') || drawn.includes('█ '))
  for (const bar of bars) assert.match(bar, /^ {2}█*░* +\d+ % {2}[\d,]+ jobs {2}[\d,]+\/s$/)
  const shares = bars.map(bar => Number(/(\d+) %/.exec(bar)?.[1]))
  assert.ok(shares.length > 0, JSON.stringify(terminal.text))
  assert.equal(
    shares,
    shares.toSorted((a, b) => a - b)
  )
})

test('where there is no room for a bar, it is cut off and leaves nothing behind', async () => {
  const terminal = open(COMMAND, { columns: 31 })
  assert.is((await terminal.exit).code, 0)
  assert.ok(terminal.text.includes('█'))
  assert.is(linesOf(terminal).at(-1), 'Scheduled 10,000 jobs of Greet')
  assert.not.match(terminal.lines.join('\n'), /[█░]/)
})

test('input without a known end has a count instead, and Ctrl-C leaves no job and no bar', async () => {
  await shell('mkfifo pipe.jsonl')
  const terminal = open(['bg', 'schedule', 'Greet', '--lines', 'pipe.jsonl'])
  const pipe = createWriteStream(join(directory, 'pipe.jsonl'))
  pipe.on('error', () => {})
  pipe.write(LINE.repeat(5_000))
  await terminal.see(/^ {2}[\d,]+ jobs {2}[\d,]+\/s$/m)
  terminal.type(KEYS.ctrlC)
  const { code } = await terminal.exit
  pipe.destroy()
  assert.is(code, 130)
  assert.equal(linesOf(terminal), ['Interrupted'])
  assert.is(await count(), 0)
})

test('a result that goes elsewhere comes without the bar, which stays in the terminal', async () => {
  const terminal = openShell(`kretes ${COMMAND.join(' ')} > result.txt`)
  assert.is((await terminal.exit).code, 0)
  assert.match(terminal.text, / jobs /)
  assert.equal(linesOf(terminal), [])
  assert.is(await readFile(join(directory, 'result.txt'), 'utf8'), 'Scheduled 10,000 jobs of Greet\n')
})

test('there is no bar where notices go elsewhere, nor at a quiet level', async () => {
  for (const line of [
    `kretes ${COMMAND.join(' ')} 2> notices.txt; cat notices.txt`,
    `kretes ${COMMAND.join(' ')} 2>&1 | cat`,
    `kretes ${COMMAND.join(' ')} --log-level warn`
  ]) {
    const terminal = openShell(line)
    assert.is((await terminal.exit).code, 0)
    assert.equal(linesOf(terminal), ['Scheduled 10,000 jobs of Greet'])
    assert.not.match(terminal.text, / jobs {2}/)
  }
})

test('with NO_COLOR the bar has no colour', async () => {
  const coloured = open(COMMAND)
  await coloured.exit
  assert.match(coloured.text, COLOURS)
  const plain = open(COMMAND, { env: { NO_COLOR: '1' } })
  await plain.exit
  assert.match(plain.text, '█')
  assert.not.match(plain.text, COLOURS)
})

const EMPTY_LINE = '\r\u001b[2K'
