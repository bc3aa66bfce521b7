import { stripVTControlCharacters } from 'node:util'
import { widthOf } from '../../cli/terminal/width.ts'
import { assert, suite } from '../helpers/suite.ts'
import type { TestTerminal } from '../helpers/terminal.ts'
import { until } from '../helpers/until.ts'
import { createTerminalProgram, framesOf } from './terminal.ts'

const test = suite('the room that kretes background status takes in a terminal')
const { sql, open } = await createTerminalProgram()
const WATCH = ['bg', 'status', '--watch']

test.before.each(() => sql`delete from graphile_worker._private_jobs`)

test('--watch fits the terminal, also when that changes its size', async () => {
  for (const name of NAMES) {
    await sql`select graphile_worker.add_job('Greet', queue_name := ${name}), graphile_worker.add_job(${name})`
  }
  const terminal = open(WATCH, { columns: 100, rows: 40 })
  await terminal.see(/leave$/)
  for (const [columns, rows] of SIZES) {
    const before = framesOf(terminal).length
    terminal.resize(columns, rows)
    await until(() => framesOf(terminal).length > before && isWhole(terminal, rows), { what: `${columns} by ${rows}` })
  }
  const looks = framesOf(terminal).map(frame => frame.match(/at (20\S+Z)/)?.[1])
  assert.ok(new Set(looks).size < looks.length, 'a new size is not left to the next look')
})

test('--watch erases nothing behind a full line, where terminals would take its last letter', async () => {
  await sql`select graphile_worker.add_job('Greet')`
  const once = open(['bg', 'status'], { columns: 120 })
  await once.exit
  const columns = once.lines.find(line => line.startsWith('task '))?.length ?? 0
  const terminal = open(WATCH, { columns })
  await terminal.see(/leave$/)
  const lines = framesOf(terminal)[0]?.split(/\r?\n/) ?? []
  const full = lines.filter(line => stripVTControlCharacters(line).length === columns)
  assert.ok(full.length > 0, terminal.lines.join('\n'))
  for (const line of full) assert.not.ok(line.endsWith(REST_OF_LINE), JSON.stringify(line))
})

test('no name is cut while there is room for it', async () => {
  const name = 'SendTheMonthlyReportOfAllInvoicesToAda'
  await sql`select graphile_worker.add_job(${name})`
  const terminal = open(['bg', 'status'], { columns: 160 })
  await terminal.exit
  assert.ok(terminal.lines.some(line => line.startsWith(`${name} `)))
})

test('names are shown as they are, not obeyed, and wide letters are aligned', async () => {
  for (const name of NAMES) await sql`select graphile_worker.add_job('Greet', queue_name := ${name})`
  const terminal = open(['bg', 'status'])
  assert.is((await terminal.exit).code, 0)
  const [head = '', ...rest] = terminal.lines.slice(terminal.lines.findIndex(line => line.startsWith('queue ')))
  const queues = rest.slice(0, NAMES.length)
  for (const start of ['plain  ', 'a name a', '日本語日', 'red\\u001b', 'éééé']) {
    assert.ok(
      queues.some(line => line.startsWith(start)),
      queues.join('\n')
    )
  }
  const end = widthOf(/^.* waiting/.exec(head)?.[0] ?? '')
  for (const line of queues) assert.is(widthOf(/^.*? 1(?= )/.exec(line)?.[0] ?? ''), end, `${head}\n${line}`)
  assert.is(terminal.isWrapped, false)
})

/** Whether it shows all from the first line to the last, each in a row of its own. */
function isWhole({ lines, isWrapped }: TestTerminal, rows: number): boolean {
  const isComplete = /^\d+ waiting/.test(lines[0] ?? '') && /^at 20/.test(lines.at(-1) ?? '')
  return isComplete && !isWrapped && lines.length <= rows
}

const NAMES = [
  'plain',
  'a name '.repeat(15),
  '日本語'.repeat(20),
  'red\u001b[31m, two\nlines, a bell\u0007',
  'é'.repeat(70)
]

const SIZES = [
  [80, 24],
  [40, 10],
  [132, 43],
  [30, 30]
] as const

const REST_OF_LINE = '\u001b[K'
