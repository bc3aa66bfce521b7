import postgres from 'postgres'
import { createBackground, type Task } from '../../mod.ts'
import { poolOf } from '../../src/database/connections/pool.ts'
import { connect } from '../../src/database/open.ts'
import { prune } from '../../src/ledger/prune.ts'
import { Queue } from '../../src/queue.ts'
import { toRetention } from '../../src/rules/retention.ts'
import { claimingTimings } from '../../src/rules/timings.ts'
import { onceDone } from '../helpers/cleanup.ts'
import { createDatabase, type TestDatabase } from '../helpers/database.ts'
import { startServer } from '../helpers/server.ts'
import { assert, suite } from '../helpers/suite.ts'
import { until } from '../helpers/until.ts'
import { createTransactionPooler } from '../ledger/poolers.ts'
import { createRecorder, work } from '../worker/work.ts'

const test = suite('whatever the settings of the server')
// On a busy machine, workers would warn of the job that waits for the test.
Object.assign(claimingTimings, { unknownDelayMs: 600_000 })

/** Each line for itself: those of a line do not hide each other. */
const settings: Record<string, string>[] = [
  { datestyle: 'German, DMY', timezone: 'Asia/Kathmandu', bytea_output: 'escape', client_encoding: 'LATIN1' },
  { datestyle: 'SQL, DMY', intervalstyle: 'sql_standard', timezone: 'America/St_Johns' },
  { datestyle: 'Postgres, MDY', intervalstyle: 'postgres_verbose', extra_float_digits: '0' },
  { extra_float_digits: '-15', intervalstyle: 'iso_8601' },
  { search_path: 'nowhere', row_security: 'off', xmloption: 'document' },
  { search_path: '"$user", public, pg_catalog', array_nulls: 'off', quote_all_identifiers: 'on' },
  { default_transaction_isolation: 'repeatable read' },
  { default_transaction_isolation: 'serializable', default_transaction_deferrable: 'on' },
  { statement_timeout: '5s', lock_timeout: '2s', idle_in_transaction_session_timeout: '5s' },
  // Longer than a busy machine takes between two statements, shorter than three beats of the worker.
  { idle_session_timeout: '4s' },
  { enable_seqscan: 'off', enable_nestloop: 'off', plan_cache_mode: 'force_custom_plan' },
  { enable_indexscan: 'off', enable_bitmapscan: 'off', enable_hashjoin: 'off', plan_cache_mode: 'force_generic_plan' },
  { standard_conforming_strings: 'off', backslash_quote: 'off', escape_string_warning: 'on' }
]

for (const group of settings) {
  const said = Object.entries(group).map(([name, value]) => `${name} = ${value}`)
  test(`jobs go their way with ${said.join(', ')} on the database`, async () => {
    const database = await createDatabase({ isEmpty: true })
    for (const [name, value] of Object.entries(group)) {
      await database.sql`alter database ${database.sql(database.name)} set ${database.sql(name)} to ${literal(database, name, value)}`
    }
    await exercise(database, { hasRest: 'idle_session_timeout' in group })
  })
}

const odd: Record<string, string> = {
  ...settings[0],
  extra_float_digits: '-15',
  intervalstyle: 'sql_standard',
  search_path: 'nowhere',
  default_transaction_isolation: 'serializable',
  idle_session_timeout: '1min',
  lock_timeout: '2s',
  enable_seqscan: 'off',
  standard_conforming_strings: 'off'
}

test('jobs go their way with all of it on the role', async () => {
  const database = await createDatabase({ isEmpty: true })
  const role = `odd_${database.name}`
  await database.sql`create role ${database.sql(role)} superuser login`
  for (const [name, value] of Object.entries(odd)) {
    await database.sql`alter role ${database.sql(role)} set ${database.sql(name)} to ${literal(database, name, value)}`
  }
  await exercise({ ...database, url: Object.assign(new URL(database.url), { username: role }).href })
  await database.sql`drop owned by ${database.sql(role)} cascade`
  await database.sql`drop role ${database.sql(role)}`
})

test('jobs go their way with all of it on the server', async () => {
  const server = await startServer({ settings: odd })
  onceDone(server.stop)
  await exercise(await createDatabase({ on: server.url, isEmpty: true }))
})

test('no limit of a database holds for what a worker does', async () => {
  const database = await createDatabase()
  const { sql, name } = database
  const limits = await sql<{ name: string }[]>`
    select name from pg_settings
    where name in ('statement_timeout', 'lock_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout')`
  for (const limit of limits) await sql`alter database ${sql(name)} set ${sql(limit.name)} to '5s'`
  await using background = createBackground({ connection: database.url })
  await background.migrate()
  await sql`create table limited (value text)`
  await sql.unsafe(`
    create function note() returns trigger language plpgsql as $$
    begin
      if current_setting('application_name') = 'kretes worker' then
        insert into limited select current_setting(name) from unnest(array[${limits.map(limit => `'${limit.name}'`)}]) name;
      end if;
      return coalesce(new, old);
    end $$`)
  await sql`create trigger note before update or delete on graphile_worker._private_jobs for each row execute function note()`
  await work(database, { tasks: { Give } })
  const job = await background.schedule({ task: Give, payload: { n: 'unlimited' } })
  assert.is(await job.result(), 'unlimited')
  const values = await sql`select value from limited group by value`
  assert.equal([...values], [{ value: '0' }])
})

test('a plan that may not scan tables is never compiled', async () => {
  const database = await createDatabase()
  const { sql } = database
  await using background = createBackground({ connection: database.url })
  await background.migrate()
  await sql`create table planned (application text, jit text)`
  await sql.unsafe(`
    create function note() returns trigger language plpgsql as $$
    begin
      if current_setting('enable_seqscan') = 'off' then
        insert into planned values (current_setting('application_name'), current_setting('jit'));
      end if;
      return coalesce(new, old);
    end $$`)
  await sql`create trigger note before insert or update or delete on graphile_worker._private_jobs for each row execute function note()`
  await work(database, { tasks: { Give } })
  await using given = createBackground({ connection: sql })
  for (const by of [background, given]) {
    const job = await by.schedule({ task: Give, payload: { n: 'planned' } })
    assert.is(await job.result(), 'planned')
  }
  const noted = await sql`select distinct application, jit from planned order by application`
  assert.equal(
    noted.map(({ jit }) => jit),
    noted.map(() => 'off')
  )
  assert.ok(noted.some(({ application }) => application === 'kretes worker'))
})

test('a pooler in transaction mode hands no setting of ours on', async () => {
  const database = await createDatabase()
  const url = await createTransactionPooler(database.url)
  await work(database, { tasks: { Give } })
  await using background = createBackground({ connection: url })
  const job = await background.schedule({ task: Give, payload: { n: 'pooled' } })
  assert.is(await job.result(), 'pooled')
  const other = postgres(url, { max: 1, prepare: false, fetch_types: false })
  onceDone(() => other.end({ timeout: 1 }))
  for (let server = 0; server < 5; server++) {
    const stated = await other`select name, setting from pg_settings where source = 'session'`
    assert.equal([...stated], [])
  }
})

test('a database that only reads says so', async () => {
  const database = await createDatabase()
  await using background = createBackground({ connection: database.url })
  await background.migrate()
  await database.sql`alter database ${database.sql(database.name)} set default_transaction_read_only to on`
  await using other = createBackground({ connection: database.url })
  const error = await other.schedule({ task: 'Give' }).catch(error => error)
  assert.match(error.message, /is read-only/)
  assert.equal((await other.jobs()).jobs, [])
})

const runs = new Map<unknown, number>()
const Give: Task<{ n: string }, string> = ({ n }) => {
  runs.set(n, (runs.get(n) ?? 0) + 1)
  return n
}
const Fail: Task<{ n: string }> = ({ n }, { attempt, progress }) => {
  runs.set(n, (runs.get(n) ?? 0) + 1)
  progress(0.5)
  if (attempt === 1) throw new Error('Not the first time\\')
}

/** Does what an application does, and looks whether each job has run as often as it had to. */
async function exercise(database: TestDatabase, { hasRest = false } = {}): Promise<void> {
  const { url, name } = database
  const client = postgres(url, { max: 4, onnotice: () => {}, fetch_types: false })
  onceDone(() => client.end({ timeout: 1 }))
  await using background = createBackground({ connection: url })
  await using given = createBackground({ connection: client })
  assert.is((await background.migrate()).hasChanged, true)
  const logger = createRecorder()
  const worker = await work(database, { tasks: { Give, Fail }, logger, backoff: { type: 'fixed', delay: 0 } })

  const runAt = '2030-01-31T08:00:00.123Z'
  const job = await background.schedule({ task: 'Later', runAt, key: `${name}\\` })
  assert.is(job.runAt.toISOString(), runAt)
  const moved = await background.reschedule(job, { runAt: '2031-01-31T08:00:00.456Z' })
  assert.is(moved.runAt.toISOString(), '2031-01-31T08:00:00.456Z')

  const many = await background.scheduleMany(
    Array.from({ length: 30 }, (_, n) => ({
      task: Give,
      payload: { n: `${name} many ${n}` },
      queue: Queue.for(`${n % 3}`)
    }))
  )
  const timed = await background.scheduleMany(
    { task: 'Later', payloads: Array(20).fill({}), runAt },
    { returning: true }
  )
  assert.ok(timed.every(one => one.runAt.toISOString() === runAt))
  const single = await Promise.all(
    [background, given].flatMap((by, which) =>
      Array.from({ length: 20 }, (_, n) =>
        by.schedule({
          task: Give,
          payload: { n: `${name} ${which} ${n}` },
          ...(n % 2 === 0 && { key: `${which} ${n}` })
        })
      )
    )
  )
  const shared = await Promise.all(
    [background, given].flatMap(by =>
      Array.from({ length: 10 }, (_, n) =>
        by.schedule({ task: 'Later', payload: {}, key: `shared ${n % 3}`, keyMode: 'preserveRunAt', delay: '1h' })
      )
    )
  )
  assert.is(new Set(shared.map(({ id }) => id)).size, 3)
  const inside = await client.begin(transaction =>
    given.with(transaction).schedule({ task: Give, payload: { n: `${name} inside` } })
  )
  const failing = await background.schedule({ task: Fail, payload: { n: `${name} fails` } })

  const results = await Promise.all([...many, ...single, inside].map(one => background.result(one)))
  assert.equal(
    results.toSorted(),
    [...runs.keys()].filter(n => `${n}`.startsWith(`${name} `) && n !== `${name} fails`).toSorted()
  )
  assert.is(await failing.result(), undefined)
  for (const n of results) assert.is(runs.get(n), 1, `${n}`)
  assert.is(runs.get(`${name} fails`), 2)

  for (const by of [background, given]) {
    const waiting = (await by.jobs({ state: 'scheduled', search: 'later' })).jobs
    assert.is(waiting.length, 24)
    assert.is(waiting.find(({ id }) => id === job.id)?.runAt.toISOString(), '2031-01-31T08:00:00.456Z')
    const page = await by.runs({ task: 'Fail', limit: 1 })
    assert.is(page.runs[0]?.state, 'succeeded')
    assert.is((await by.runs({ task: 'Fail', limit: 1, cursor: page.cursor })).runs[0]?.state, 'failed')
    assert.is((await by.job(job.id))?.state, 'scheduled')
    assert.is((await by.why(job.id)).reasons[0]?.code, 'scheduled')
    const status = await by.status()
    assert.is(status.workers[0]?.isAlive, true)
    assert.is(status.tasks.find(({ task }) => task === 'Give')?.succeeded, results.length)
  }
  assert.is((await background.retry({ task: 'Later' })).changed, 0)
  assert.is((await background.runNow({ task: 'Later', search: `${name}\\` })).changed, 1)
  assert.is(await background.cancel(timed[0]!), 'removed')
  assert.is((await given.cancel({ task: 'Later' })).changed, 23)

  const sql = connect({ url }, { max: 1, prepare: false, name: 'prune' })
  const pruned = await prune(poolOf(sql), 'graphile_worker', toRetention({}, 'prune'), false)
  await sql.end()
  assert.equal(pruned.dropped, [])
  if (hasRest) await thriceBeaten(database)
  await worker.stop()
  const complaints = logger.lines.filter(
    ({ level, message }) => /warn|error/.test(level) && !message.startsWith('Fail ')
  )
  assert.equal(
    complaints.map(({ message }) => message),
    []
  )
  const [left] = await database.sql`select count(*)::int from graphile_worker._private_jobs`
  assert.is(left?.count, 0)
}

/** Waits for three beats of the worker, between which most connections are idle. */
async function thriceBeaten({ sql }: TestDatabase): Promise<void> {
  const beats = new Set<unknown>()
  await until(async () => {
    const [worker] = await sql`select extract(epoch from beat_at)::text as beat from kretes.workers`
    return beats.add(worker?.beat).size >= 4
  })
}

/** A list of names is no text to PostgreSQL. */
function literal({ sql }: TestDatabase, name: string, value: string): ReturnType<typeof sql.unsafe> {
  return sql.unsafe(name === 'search_path' || name === 'datestyle' ? value : `'${value}'`)
}
