import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import { assert, suite } from '../helpers/suite.ts'
import { KEYS } from '../helpers/terminal.ts'
import { until } from '../helpers/until.ts'
import { createTerminalProgram, linesOf } from './terminal.ts'

const test = suite('the question before many jobs are changed')
const { directory, sql, open, openShell } = await createTerminalProgram()

/** Two jobs that wait for their time, and two that have failed. */
test.before.each(async () => {
  await sql`delete from graphile_worker._private_jobs`
  for (const task of ['Greet', 'Fail']) {
    for (let count = 0; count < 2; count++) {
      await sql`select graphile_worker.add_job(${task}, run_at := now() + interval '1 day', max_attempts := 1)`
    }
  }
  await sql`update graphile_worker._private_jobs set attempts = 1, last_error = 'It broke' where ${fails}`
})

const fails = sql`task_id = (select id from graphile_worker._private_tasks where identifier = 'Fail')`

const jobs = async (): Promise<unknown[]> => [...(await sql`select * from graphile_worker._private_jobs order by id`)]

for (const [name, keys, code, lines] of [
  ['n', `n${KEYS.enter}`, 1, ['Delete 4 jobs? [y/N] n', 'Nothing was changed']],
  ['Enter alone', KEYS.enter, 1, ['Delete 4 jobs? [y/N]', 'Nothing was changed']],
  ['anything but yes', `yess${KEYS.enter}`, 1, ['Delete 4 jobs? [y/N] yess', 'Nothing was changed']],
  ['Ctrl-D', KEYS.ctrlD, 1, ['Delete 4 jobs? [y/N]', 'Nothing was changed']],
  ['Ctrl-C', KEYS.ctrlC, 130, ['Delete 4 jobs? [y/N]', 'Interrupted']]
] as const) {
  test(`${name} changes nothing, with exit code ${code}`, async () => {
    const before = await jobs()
    const terminal = open(['bg', 'delete', '--all'])
    await terminal.see(/Delete 4 jobs\? \[y\/N\]/)
    terminal.type(keys)
    assert.is((await terminal.exit).code, code)
    assert.equal(linesOf(terminal), lines)
    assert.equal(await jobs(), before)
  })
}

for (const [args, question, done, left] of [
  [['delete', '--all'], 'Delete 4 jobs? [y/N]', 'Deleted 4 jobs', []],
  [['cancel', '--task', 'Greet'], 'Cancel 2 jobs? [y/N]', 'Cancelled 2 jobs', [1, 1]],
  [['retry', '--state', 'failed'], 'Retry 2 jobs? [y/N]', 'Retried 2 jobs', [0, 0, 0, 0]]
] as const) {
  test(`${args.join(' ')} does it at y, and at yes`, async () => {
    const terminal = open(['bg', ...args])
    await terminal.see(/\? \[y\/N\]/)
    const answer = args[0] === 'cancel' ? 'Yes' : 'y'
    terminal.type(`${answer}${KEYS.enter}`)
    assert.is((await terminal.exit).code, 0)
    assert.equal(linesOf(terminal), [`${question} ${answer}`, done])
    assert.equal(
      (await sql`select attempts from graphile_worker._private_jobs`).map(({ attempts }) => attempts),
      left
    )
  })
}

test('waits for as long as somebody thinks, and says nothing meanwhile', async () => {
  const terminal = open(['bg', 'delete', '--all'])
  await terminal.see(/\[y\/N\]/)
  const asked = performance.now()
  await until(() => performance.now() - asked > THINKING_MS, { what: 'an answer' })
  terminal.type(`n${KEYS.enter}`)
  await terminal.exit
  assert.equal(linesOf(terminal), ['Delete 4 jobs? [y/N] n', 'Nothing was changed'])
})

test('leaves a terminal as it was, whichever way it is answered', async () => {
  for (const keys of [`n${KEYS.enter}`, KEYS.ctrlC, KEYS.ctrlD]) {
    const terminal = openShell(
      'before=$(stty -g); kretes bg delete --all; after=$(stty -g); [ "$before" = "$after" ] && echo The same'
    )
    await terminal.see(/\[y\/N\]/)
    terminal.type(keys)
    await terminal.exit
    assert.is(terminal.lines.at(-1), 'The same')
    assert.is(terminal.isCursorShown, true)
  }
})

test('is not in the way of a result that goes elsewhere', async () => {
  const terminal = openShell('kretes bg delete --all > result.txt')
  await terminal.see(/\[y\/N\]/)
  terminal.type(`y${KEYS.enter}`)
  assert.is((await terminal.exit).code, 0)
  assert.equal(linesOf(terminal), ['Delete 4 jobs? [y/N] y'])
  assert.is(await readFile(join(directory, 'result.txt'), 'utf8'), 'Deleted 4 jobs\n')
})

for (const [where, line] of [
  ['an answer is piped', 'echo y | kretes bg delete --all'],
  ['nobody would see it', 'kretes bg delete --all 2>&1 | cat']
] as const) {
  test(`is not asked where ${where}: it says what to add, and changes nothing`, async () => {
    const before = await jobs()
    const terminal = openShell(`${line}; echo "ended with $?"`, { columns: 200 })
    await terminal.exit
    const [said, ended] = linesOf(terminal)
    assert.is(
      said,
      'Cannot delete 4 jobs unasked: this is no terminal to ask on. Add --yes to do it, or --dry-run to see how many'
    )
    assert.is(ended, line.endsWith('cat') ? 'ended with 0' : 'ended with 2')
    assert.equal(await jobs(), before)
  })
}

test('is not asked with --yes', async () => {
  const terminal = open(['bg', 'delete', '--all', '--yes'])
  assert.is((await terminal.exit).code, 0)
  assert.equal(linesOf(terminal), ['Deleted 4 jobs'])
})

/** Longer than it takes until a database is said to be slow. */
const THINKING_MS = 1_500
