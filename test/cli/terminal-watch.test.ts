import { assert, suite } from '../helpers/suite.ts'
import { KEYS } from '../helpers/terminal.ts'
import { createTerminalProgram, framesOf } from './terminal.ts'

const test = suite('kretes background status --watch in a terminal')
const { sql, open, openShell } = await createTerminalProgram()
const WATCH = ['bg', 'status', '--watch']

test.before.each(() => sql`delete from graphile_worker._private_jobs`)

test('it has a screen of its own, and Ctrl-C gives back the one before with exit code 0', async () => {
  const terminal = openShell('echo Before; kretes bg status --watch; echo "ended with $?"')
  await terminal.see(/^0 waiting.*\n(?:.*\n)*at 20\S+Z · Ctrl-C to leave$/)
  assert.equal([terminal.isSecondScreen, terminal.isCursorShown], [true, false])
  terminal.type(KEYS.ctrlC)
  assert.is((await terminal.exit).code, 0)
  assert.equal(terminal.lines, ['Before', 'ended with 0'])
  assert.equal([terminal.isSecondScreen, terminal.isCursorShown], [false, true])
})

test('it shows at its next look what has changed, over what was there', async () => {
  const terminal = open(WATCH)
  await terminal.see(/^0 waiting/)
  await sql`select graphile_worker.add_job('Greet')`
  const before = framesOf(terminal).length
  await terminal.see(/^1 waiting(?:.*\n)*Greet +1 /)
  // One that was on its way may come first.
  assert.ok(framesOf(terminal).findIndex(frame => frame.includes('1 waiting')) <= before + 1, terminal.text)
  await sql`delete from graphile_worker._private_jobs`
  await terminal.see(/^0 waiting(?:(?!Greet).)*leave$/s)
  // Emptied first, it would flicker.
  assert.not.ok(terminal.text.includes(EMPTY_SCREEN))
  assert.is(terminal.text.split(SECOND_SCREEN).length, 2)
})

test('it says in its last line what is wrong, and goes on when it is over', async () => {
  const terminal = open(WATCH)
  await terminal.see(/leave$/)
  await sql`alter table graphile_worker._private_jobs rename to elsewhere`
  await terminal.see(/^0 waiting(?:.*\n)+.*_private_jobs.*$/)
  assert.is(terminal.isWrapped, false)
  await sql`alter table graphile_worker.elsewhere rename to _private_jobs`
  await terminal.see(/leave$/)
  terminal.type(KEYS.ctrlC)
  assert.is((await terminal.exit).code, 0)
})

test('without a terminal it goes on line by line, and draws nothing', async () => {
  const terminal = openShell('kretes bg status --watch | cat')
  await terminal.see(/0 waiting(?:.*\n)+0 waiting/)
  assert.not.ok(terminal.text.includes('\u001b'))
  terminal.type(KEYS.ctrlC)
  await terminal.exit
})

const EMPTY_SCREEN = '\u001b[2J'
const SECOND_SCREEN = '\u001b[?1049h'
