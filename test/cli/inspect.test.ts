import type postgres from 'postgres'
import { createDatabase } from '../helpers/database.ts'
import { assert, suite } from '../helpers/suite.ts'
import { until } from '../helpers/until.ts'
import { insertRuns } from '../ledger/rows.ts'
import { createProgram, TASKS } from './program.ts'

const lists = suite('kretes background jobs and runs')
const one = suite('kretes background show and logs')
const bulk = suite('kretes background retry, delete, run-now')

const { url, sql } = await createDatabase()
const program = await createProgram(
  {
    ...TASKS,
    'tasks/Chatty.ts': `
      import { existsSync, watch } from 'node:fs'
      export default async function Chatty({ file }, { logger }) {
        for (let line = 1; line <= 15; line++) logger.info('Line ' + line)
        const watcher = watch('.')
        if (!existsSync(file)) await new Promise(resolve => watcher.on('change', () => existsSync(file) && resolve()))
        watcher.close()
      }`,
    'tasks/Talk.ts': `
      import { existsSync, watch } from 'node:fs'
      export default async function Talk({ file }, { logger, signal }) {
        logger.info('First line', { step: 1 })
        const watcher = watch('.')
        if (!existsSync(file)) await new Promise((resolve, reject) => {
          watcher.on('change', () => existsSync(file) && resolve())
          signal.addEventListener('abort', () => reject(signal.reason))
        })
        watcher.close()
        logger.warn('Last line')
        return { said: 2 }
      }`
  },
  { DATABASE_URL: url }
)
const { run, start } = program
await run(['bg', 'migrate'])

lists('list jobs in a table, and as JSON', async () => {
  const [waiting, failed] = [await schedule('Greet', '{ "name": "Ada" }'), await schedule('Fail')]
  await fail(failed)
  const { code, stdout, stderr } = await run(['bg', 'jobs'])
  assert.equal([code, stderr], [0, ''])
  const [title, first, second] = stdout.split('\n')
  assert.match(title!, /^ *JOB {2}STATE {4}TASK {3}QUEUE {2}ATTEMPTS {2}DUE +KEY {2}DETAILS$/)
  assert.match(first!, new RegExp(`^ *${failed} {2}failed +Fail +25/25 +It broke`))
  assert.match(second!, new RegExp(`^ *${waiting} {2}waiting +Greet +0/25 .+ {"name": "Ada"}|{"name":"Ada"}`))
  const json = await run(['bg', 'jobs', '--state', 'failed', '--task', 'Fail', '--json'])
  const page = JSON.parse(json.stdout)
  assert.equal(
    page.jobs.map(({ id, state }: { id: string; state: string }) => [id, state]),
    [[failed, 'failed']]
  )
})

lists('reckon by the clock of the database, not by that of the machine they run on', async () => {
  const [due] = await sql`
    select id::text from graphile_worker.add_job('Greet', '{}', run_at => now() + interval '90 minutes')`
  await sql`select graphile_worker.add_job('Greet', '{}', run_at => now() - interval '90 minutes')`
  const [{ now }] = (await sql`select now()`) as unknown as [{ now: Date }]
  await insertRuns(sql, [{ job: 4711, task: 'Clocked', finishedAt: new Date(now.getTime() - 90 * 60_000) }])
  const eightDaysAhead = `data:text/javascript,
    const Real = Date, now = () => Real.now() + 8 * 86400000;
    globalThis.Date = class extends Real {
      constructor(...args) { super(...(args.length === 0 ? [now()] : args)) }
      static now() { return now() }
    }`.replaceAll('\n', ' ')
  const ahead = { NODE_OPTIONS: `--import "${eightDaysAhead}"` }
  const [jobs, runs, older, show, scheduled] = await Promise.all([
    run(['bg', 'jobs', '--task', 'Greet'], ahead),
    run(['bg', 'runs', '--since', '2h', '--task', 'Clocked'], ahead),
    run(['bg', 'runs', '--since', '1h', '--task', 'Clocked'], ahead),
    run(['bg', 'show', due!.id], ahead),
    run(['bg', 'schedule', 'Greet', '{}', '--in', '2h'], ahead)
  ])
  assert.match(jobs.stdout, /scheduled .* in 1 h /)
  assert.match(jobs.stdout, /waiting .* 1 h ago /)
  assert.match(runs.stdout, /4711 .* 1 h ago /)
  assert.equal([older.stdout, older.stderr], ['', 'No runs\n'])
  assert.match(show.stdout, /due .*\(in 1 h\)/)
  assert.match(scheduled.stdout, /runs at .*\(in 2 hours\)/)
})

lists('go on with the cursor that they print', async () => {
  const first = await run(['bg', 'jobs', '--limit', '1'])
  const [, cursor] = /^More with --cursor (\S+)\n$/.exec(first.stderr) ?? []
  const second = await run(['bg', 'jobs', '--limit', '1', '--cursor', cursor ?? '', '--json'])
  assert.is(JSON.parse(second.stdout).jobs.length, 1)
  assert.not.match(first.stdout, new RegExp(`\\b${JSON.parse(second.stdout).jobs[0].id}\\b`))
})

lists('list runs, and show nothing that a terminal would obey', async () => {
  const error = { name: 'RangeError', message: 'Red \u001b[31malert\nin two lines' }
  await insertRuns(sql, [
    { job: 700_001, task: 'Listed', state: 'timed out', error, tookMs: 1_300 },
    { job: 700_002, task: 'Listed', result: { sent: true } }
  ])
  const { stdout } = await run(['bg', 'runs', '--task', 'Listed'])
  assert.match(stdout, /700001 {2}timed out {2}Listed +1\/25 .+ 1\.3 s {2}RangeError: Red \\u001b\[31malert\n/)
  assert.match(stdout, /700002 {2}succeeded {2}Listed .+ {"sent":true}\n/)
  const timedOut = await run(['bg', 'runs', '--task', 'Listed', '--state', 'timed-out', '--since', '1h', '--json'])
  assert.is(JSON.parse(timedOut.stdout).runs.length, 1)
})

lists('show the first line of an error and the deepest cause, and no row of a thousand letters', async () => {
  await insertRuns(sql, [
    { job: 700_003, task: 'Queried', state: 'failed', error: FAILED_QUERY },
    { job: 700_004, task: 'Queried', result: { text: 'x'.repeat(5_000) } }
  ])
  const piped = await run(['bg', 'runs', '--task', 'Queried'])
  assert.match(
    piped.stdout,
    / Error: Failed query: select \* from users ← Error: connect ECONNREFUSED 127\.0\.0\.1:5432\n/
  )
  assert.ok(piped.stdout.split('\n').every(line => line.length < 400))
  const id = await schedule('Greet', JSON.stringify({ text: 'y'.repeat(5_000) }))
  const text =
    'Error: Failed query: select\nparams: 7\n    at Some (file.ts:1:1)\ncaused by Error: connect ECONNREFUSED'
  await sql`update graphile_worker._private_jobs set last_error = ${text}, attempts = 25 where id = ${id}`
  const failed = await run(['bg', 'jobs', '--search', id])
  assert.match(failed.stdout, / Error: Failed query: select ← Error: connect ECONNREFUSED\n/)
  await run(['bg', 'delete', id])
  const waiting = await schedule('Greet', JSON.stringify({ text: 'y'.repeat(5_000) }))
  const { stdout } = await run(['bg', 'jobs', '--search', waiting])
  assert.ok(stdout.split('\n').every(line => line.length < 400))
  await run(['bg', 'delete', waiting])
})

lists('say what is wrong with an option', async () => {
  for (const [args, message] of [
    [['jobs', '--state', 'faild'], /^Cannot read --state: "faild" is none of .*Did you mean failed\?\n$/],
    [['jobs', '--cursor', 'x'], /^Cannot list jobs: the cursor is "x", not one that came with a page of jobs\n$/],
    [['jobs', '--limit', '0'], /^Cannot read --limit: "0" is not a whole number from 1 to 1000\n$/],
    [['runs', '--since', 'soon'], /^Cannot read --since: "soon" is neither a time/]
  ] as const) {
    const { code, stderr } = await run(['bg', ...args])
    assert.is(code, 2)
    assert.match(stderr, message)
  }
})

one('show everything about a job that has run, with its error', async () => {
  const id = await schedule('Fail', '{ "why": "because" }', '--max-attempts', '1')
  await run(['bg', '--once'])
  const { code, stdout } = await run(['bg', 'show', id])
  assert.is(code, 0)
  for (const part of [
    /state +failed\n/,
    /attempts +1 of 1\n/,
    /Payload\n{\n {2}"why": "because"/,
    /RangeError: It broke/
  ]) {
    assert.match(stdout, part)
  }
  const job = JSON.parse((await run(['bg', 'show', id, '--json'])).stdout)
  assert.equal(
    [job.state, job.runs.length, job.runs[0].state, job.runs[0].error.message],
    ['failed', 1, 'failed', 'It broke']
  )
})

one('show all that lies behind an error, without places in kretes and Node', async () => {
  await insertRuns(sql, [{ job: 700_020, state: 'failed', error: FAILED_QUERY }])
  const { stdout } = await run(['bg', 'show', '700020'])
  assert.match(
    stdout,
    `Error
Error: Failed query: select * from users
    params: 7
    at Find (/app/users.ts:3:5)
caused by AggregateError
one of them: Error: connect ECONNREFUSED 127.0.0.1:5432
    at connect (/app/db.ts:1:1)
`
  )
  assert.not.match(stdout, /node:internal|node_modules\/kretes/)
})

one('show the log of the run under way, and say what is left out', async () => {
  const id = await schedule('Chatty', '{ "file": "go-on-chatting" }')
  const worker = start(['bg', '--once'])
  await worker.output(/Line 15/)
  const shown = await until(async () => {
    const { stdout } = await run(['bg', 'show', id])
    return stdout.includes('Line 15') ? stdout : ''
  })
  assert.match(shown, new RegExp(`5 earlier lines: kretes background logs ${id}\\n`))
  assert.match(shown, /Line 6\n/)
  assert.not.match(shown, /Line 5\n/)
  await program.shell('touch go-on-chatting')
  await worker.exit
})

one('know nothing of a job that never was', async () => {
  const { code, stderr } = await run(['bg', 'show', '987654321'])
  assert.equal([code, stderr], [1, 'Cannot show 987654321: there is no such job, and no run of it is kept\n'])
  assert.is((await run(['bg', 'logs', '987654321'])).code, 1)
})

one('show the log that a run has left', async () => {
  const log = [
    { at: '2026-01-31T08:00:00.000Z', level: 'info', message: 'First', fields: { step: 1 } },
    { level: 'warn', message: 'Second' }
  ]
  await insertRuns(sql, [{ job: 700_010, log }])
  const { code, stdout } = await run(['bg', 'logs', '700010'])
  assert.equal([code, stdout], [0, '2026-01-31T08:00:00.000Z info  First step=1\nwarn  Second\n'])
  const followed = await run(['bg', 'logs', '700010', '-f', '--json'])
  assert.equal(
    followed.stdout
      .trim()
      .split('\n')
      .map(line => JSON.parse(line)),
    log
  )
})

one('follow a job that runs, until it is done, each line once', async () => {
  const id = await schedule('Later', '{}', '--force')
  const show = (log: object[]) => sql`
    insert into kretes.progress (job_id, attempt, progress, log, updated_at)
    values (${id}, 1, 0.5, ${JSON.stringify(log)}::text::json, now())
    on conflict (job_id) do update set log = excluded.log`
  await sql`update graphile_worker._private_jobs set locked_at = now(), locked_by = 'a worker', attempts = 1 where id = ${id}`
  await show([{ message: 'one' }])
  const child = start(['bg', 'logs', id, '--follow'])
  await child.output(/one\n/)
  await show([{ message: 'one' }, { message: 'two' }])
  await child.output(/two\n/)
  const log = [{ message: 'one' }, { message: 'two' }, { message: 'three' }]
  await sql.begin(async transaction => {
    await insertRuns(transaction as unknown as postgres.Sql, [{ job: id, task: 'Later', log }])
    await transaction`delete from graphile_worker._private_jobs where id = ${id}`
  })
  const { code, stdout } = await child.exit
  assert.equal([code, stdout], [0, 'one\ntwo\nthree\n'])
})

one('end well when Ctrl-C ends the following', async () => {
  const id = await schedule('Later', '{}', '--force', '--in', '1h')
  await insertRuns(sql, [{ job: id, task: 'Later', state: 'snoozed', log: [{ message: 'begun' }] }])
  const child = start(['bg', 'logs', id, '-f'])
  await child.output(/begun\n/)
  child.kill('SIGINT')
  assert.is((await child.exit).code, 0)
})

bulk('act on ids and keys, and say which there are not', async () => {
  const id = await schedule('Greet', '{}', '--in', '1h', '--key', 'by key')
  const due = await run(['bg', 'run-now', 'by key', '987654321'])
  assert.equal([due.code, due.stdout, due.stderr], [1, 'Due now: 1 job\n', 'There is no such job: 987654321\n'])
  const deleted = await run(['bg', 'delete', id])
  assert.equal([deleted.code, deleted.stdout, deleted.stderr], [0, 'Deleted 1 job\n', ''])
})

bulk('ask before they change what a filter finds, and refuse where nobody can answer', async () => {
  await sql`delete from graphile_worker._private_jobs`
  for (const id of [await schedule('Fail'), await schedule('Fail')]) await fail(id)
  const filter = ['--state', 'failed', '--task', 'Fail']
  const dry = await run(['bg', 'retry', ...filter, '--dry-run'])
  assert.equal([dry.code, dry.stdout], [0, 'Would retry 2 jobs\n'])
  const refused = await run(['bg', 'retry', ...filter])
  assert.is(refused.code, 2)
  assert.match(refused.stderr, /^Cannot retry 2 jobs unasked: this is no terminal to ask on\. Add --yes to do it/)
  const [before] = await sql`select count(*)::int as failed from graphile_worker._private_jobs where attempts = 25`
  assert.is(before?.failed, 2)
  const done = await run(['bg', 'retry', ...filter, '--yes', '--json'])
  assert.equal(JSON.parse(done.stdout), {
    matched: 2,
    changed: 2,
    running: 0,
    missing: [],
    scheduled: [],
    dryRun: false
  })
  assert.is(done.code, 0)
  const none = await run(['bg', 'retry', ...filter, '--yes'])
  assert.equal([none.code, none.stderr], [1, 'No job matches\n'])
  const all = await run(['bg', 'cancel', '--all', '--yes'])
  assert.equal([all.code, all.stdout], [0, 'Cancelled 2 jobs\n'])
})

bulk('refuse a line that does not say which', async () => {
  for (const [args, message] of [
    [['delete'], /^Cannot delete jobs: none are given\. Say which/],
    [['delete', '7', '--task', 'Fail'], /^Cannot delete jobs: both ids and a filter are given/],
    [['retry', '--state', 'waiting'], /^Cannot retry jobs: state is "waiting", none of retrying, failed/]
  ] as const) {
    const { code, stderr } = await run(['bg', ...args])
    assert.is(code, 2)
    assert.match(stderr, message)
  }
})

async function schedule(task: string, payload = '{}', ...options: string[]): Promise<string> {
  const { stdout, stderr } = await run(['bg', 'schedule', task, payload, '--json', ...options])
  if (stdout === '') throw new Error(stderr)
  return JSON.parse(stdout).id
}

async function fail(id: string): Promise<void> {
  await sql`update graphile_worker._private_jobs set attempts = max_attempts, last_error = 'It broke' where id = ${id}`
}

/** What a client of a database throws that is away. */
const FAILED_QUERY = {
  name: 'Error',
  message: 'Failed query: select * from users\nparams: 7',
  stack: '    at Find (/app/users.ts:3:5)\n    at run (file:///app/node_modules/kretes/dist/worker.js:1:1)',
  cause: {
    name: 'AggregateError',
    message: '',
    errors: [
      {
        name: 'Error',
        message: 'connect ECONNREFUSED 127.0.0.1:5432',
        stack: '    at connect (/app/db.ts:1:1)\n    at afterConnect (node:internal/net:1:1)'
      }
    ]
  }
}
