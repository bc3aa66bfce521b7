import { createDatabase } from '../helpers/database.ts'
import { assert, suite } from '../helpers/suite.ts'
import { createProgram, TASKS } from './program.ts'

const test = suite('kretes background status, why, doctor and prune')
const { url } = await createDatabase({ isEmpty: true })
const { run, start } = await createProgram(TASKS, { DATABASE_URL: url })

test('doctor finds what is missing, with exit code 1, and then nothing', async () => {
  const missing = await run(['bg', 'doctor'])
  assert.is(missing.code, 1)
  assert.match(missing.stdout, /^error migrations-missing\n {2}found {3}The schema is not up to date: /)
  assert.is((await run(['bg', 'migrate'])).code, 0)
  const healthy = await run(['bg', 'doctor'])
  assert.equal([healthy.code, healthy.stdout], [0, 'Healthy: nothing to do\n'])
  assert.is((await run(['bg', 'doctor', 'me'])).code, 2)
})

test('doctor sees that the clock of its machine is wrong', async () => {
  const late = `data:text/javascript,const now = Date.now; Date.now = () => now() - 5000`
  const { code, stdout } = await run(['bg', 'doctor', '--json'], { NODE_OPTIONS: `--import "${late}"` })
  assert.is(code, 1)
  assert.is(JSON.parse(stdout).findings[0].code, 'clock-skew')
})

test('status fits the line, and why says what to do', async () => {
  const { stdout } = await run(['bg', 'schedule', 'Greet', '{}', '--json'])
  const { id } = JSON.parse(stdout)
  const shown = await run(['bg', 'status'])
  assert.is(shown.code, 0)
  assert.match(shown.stdout, /^1 waiting \(oldest .*\n/)
  assert.match(shown.stdout, /\nGreet +1 /)
  assert.match(shown.stdout, /No worker is running/)
  assert.not.ok(shown.stdout.includes('\u001b'))
  const why = await run(['bg', 'why', id])
  assert.equal(
    [why.code, why.stdout],
    [0, `Greet ${id} is waiting\n  no-worker  No worker is running. Start one: kretes background\n`]
  )
  const json = await run(['bg', 'status', '--json', '--window', '5m'])
  assert.is(JSON.parse(json.stdout).totals.waiting, 1)
  assert.is((await run(['bg', 'status', '--window', 'soon'])).code, 2)
  assert.is((await run(['bg', 'why', '999999'])).code, 1)
})

test('status and jobs cut no name where nobody measures the line', async () => {
  const name = `SendTheMonthlyReportOfAllInvoices${'X'.repeat(60)}`
  const { stdout } = await run(['bg', 'schedule', name, '--force', '--json'])
  assert.match((await run(['bg', 'status'])).stdout, `\n${name} `)
  assert.match((await run(['bg', 'jobs'])).stdout, ` ${name} `)
  await run(['bg', 'cancel', JSON.parse(stdout).id])
})

test('status --watch goes on until Ctrl-C, and then ends well', async () => {
  const watching = start(['bg', 'status', '--watch', '--json'])
  await watching.output(/"totals".*\n.*"totals"/)
  watching.kill('SIGINT')
  assert.is((await watching.exit).code, 0)
})

test('prune tells what it would remove, and removes it', async () => {
  const dry = await run(['bg', 'prune', '--dry-run', '--json'])
  assert.equal(JSON.parse(dry.stdout), { dropped: [], folded: 0, dryRun: true })
  const done = await run(['bg', 'prune', '--keep-successes', '1d'])
  assert.equal([done.code, done.stdout], [0, 'Dropped no partition\nFolded 0 rows of counters\n'])
  assert.is((await run(['bg', 'prune', '--keep-successes', 'long'])).code, 2)
})
