import { createDatabase } from '../helpers/database.ts'
import { assert, suite } from '../helpers/suite.ts'
import { createProgram, TASKS } from './program.ts'

const test = suite('kretes background reschedule')
const { sql, url } = await createDatabase()
const { run } = await createProgram(TASKS, { DATABASE_URL: url })

async function schedule(...options: string[]): Promise<string> {
  const { stdout } = await run(['bg', 'schedule', 'Greet', '--json', ...options])
  return JSON.parse(stdout).id
}

test('changes a job that waits, by its id or its key, and prints it', async () => {
  const id = await schedule('--key', 'welcome-7', '--in', '1h', '--priority', '3')
  const moved = await run(['bg', 'reschedule', id, '--run-at', '2040-01-02T03:04:05+01:00', '--max-attempts', '4'])
  assert.is(moved.code, 0, moved.stderr)
  assert.match(moved.stdout, new RegExp(`^Rescheduled\n  job +${id}\n  task +Greet\n`))
  assert.match(
    moved.stdout,
    / runs at +2040-01-02T02:04:05\.000Z \(in [\d,.]+ days\)\n +priority +3\n +attempts +4 at most\n/
  )
  const now = await run(['background', 'reschedule', 'welcome-7', '--in', '0s', '--priority', '-1', '--json'])
  assert.is(now.code, 0, now.stderr)
  const { runAt, scheduledAt: _, ...job } = JSON.parse(now.stdout)
  const rest = { task: 'Greet', queue: null, priority: -1, attempts: 0, maxAttempts: 4, key: 'welcome-7' }
  const none = { schedule: null, occurrence: null }
  assert.equal(job, { id, ...rest, ...none })
  const [row] = await sql`select run_at as "runAt", run_at <= now() as due from graphile_worker.jobs where id = ${id}`
  assert.equal(row, { runAt: new Date(runAt), due: true })
})

test('fails when a worker has the job, and when there is none', async () => {
  const id = await schedule('--key', 'running')
  await sql`update graphile_worker._private_jobs set locked_at = now(), locked_by = 'a worker' where id = ${id}`
  const running = await run(['bg', 'reschedule', id, '--in', '5m'])
  assert.equal([running.code, running.stdout], [1, ''])
  assert.is(running.stderr, `Cannot reschedule job ${id}: a worker has it\n`)
  const gone = await run(['bg', 'reschedule', 'nobody', '--in', '5m'])
  assert.equal([gone.code, gone.stdout], [1, ''])
  assert.is(gone.stderr, 'Cannot reschedule the job of key "nobody": there is none\n')
})

test('refuses a job that has failed for good, which shows its attempts and no time at which it is due', async () => {
  const id = await schedule('--max-attempts', '5')
  await sql`
    update graphile_worker._private_jobs
    set attempts = 5, flags = '{"kretes:attempts": 1}', run_at = now() + interval '2 minutes' where id = ${id}`
  const { code, stderr } = await run(['bg', 'reschedule', id, '--in', '5m'])
  assert.equal([code, stderr], [1, `Cannot reschedule job ${id}: it has failed for good. To run it again, retry it\n`])
  const { stdout } = await run(['bg', 'show', id])
  assert.match(stdout, /^attempts +1 of 5$/m)
  assert.not.match(stdout, /^due/m)
})

for (const [args, message] of [
  [['7'], 'Cannot reschedule 7: nothing is to change. Give --delay, --run-at, --priority or --max-attempts'],
  [[], 'Cannot run kretes background reschedule: the job is missing'],
  [['', '--in', '5m'], 'Cannot reschedule a job: key is empty'],
  [
    ['9223372036854775808', '--in', '5m'],
    'Cannot reschedule a job: its id is "9223372036854775808", not a number as text'
  ],
  [['7', '--in', 'soon'], 'Cannot read --in: "soon" is not a duration such as 90s, 5m or 1h30m'],
  [['7', '--in', '5m', '--run-at', '2030-01-31T08:00:00Z'], 'Cannot read --in: --run-at is given as well'],
  [['7', '--max-attempts', '0'], 'Cannot read --max-attempts: "0" is not a whole number from 1 to 32767'],
  [['7', '--queue', 'email'], 'Cannot run kretes background reschedule: there is no option --queue']
] as const) {
  test(`refuses ${JSON.stringify(args)}`, async () => {
    const { code, stdout, stderr } = await run(['bg', 'reschedule', ...args])
    assert.equal([code, stdout], [2, ''])
    assert.ok(stderr.startsWith(message), stderr)
  })
}
