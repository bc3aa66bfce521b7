import { randomBytes } from 'node:crypto'
import { fileURLToPath } from 'node:url'
import postgres from 'postgres'
import { migrate } from '../../src/database/migrate.ts'
import { openDatabase } from '../../src/database/open.ts'
import type { WorkerOptions } from '../../src/worker/options.ts'
import { onceDone } from '../helpers/cleanup.ts'
import { type Child, start } from '../helpers/process.ts'
import type { Server } from '../helpers/server.ts'
import { until } from '../helpers/until.ts'

/** Jobs to be scheduled at once, one after another in run time. */
export interface Batch {
  task?: 'Work' | 'Block' | 'Abort' | 'Light'
  count: number
  /** How long each takes. */
  ms?: number
  /** Over how many named queues they are spread; none runs them in parallel. */
  queues?: number
  maxAttempts?: number
  priority?: number
}

/** A database for one fault, with a record of what jobs did in it. */
export interface Arena {
  readonly url: string
  readonly sql: postgres.Sql
  schedule(batch: Batch): Promise<void>
  /** Starts a worker process and waits until it is ready. */
  work(options?: WorkerOptions & { quiet?: boolean }, url?: string): Promise<Child>
  /** How many jobs have run to their end. */
  ended(): Promise<number>
  /** Waits until so many jobs have begun. */
  whenBegun(count: number): Promise<unknown>
  /** Waits until so many jobs have run to their end, and returns after how many milliseconds. */
  whenEnded(count: number, timeoutMs?: number): Promise<number>
  /** Which jobs a worker process holds, by its pid. */
  heldBy(pid: number): Promise<string[]>
  /** Waits until the engine's table is empty, but for so many jobs that failed for good. */
  whenSettled(failed?: number): Promise<void>
}

const script = fileURLToPath(new URL('worker.ts', import.meta.url))

/** Creates an empty database on a server, ready for workers. It goes with the server. */
export async function createArena(server: Server): Promise<Arena> {
  const name = `chaos_${randomBytes(4).toString('hex')}`
  const admin = postgres(server.url, { max: 1, onnotice: () => {} })
  await admin`create database ${admin(name)}`
  await admin.end()
  const url = Object.assign(new URL(server.url), { pathname: `/${name}` }).href
  const sql = postgres(url, {
    max: 2,
    onnotice: () => {},
    backoff: () => 0.1,
    connection: { application_name: 'referee' }
  })
  onceDone(() => sql.end({ timeout: 1 }))
  await sql`create schema chaos`
  await sql`
    create table chaos.runs (
      id uuid primary key,
      job bigint not null,
      queue text,
      attempt integer not null,
      worker integer not null,
      started_at timestamptz not null default clock_timestamp(),
      ended_at timestamptz
    )`
  await sql`create index on chaos.runs (job)`
  await sql`create table chaos.jobs (job bigint primary key, n bigserial, task text, queue text)`
  await migrate(await openDatabase({ connection: url }), 'graphile_worker')

  const arena: Arena = {
    url,
    sql,
    async schedule({ task = 'Work', count, ms = 0, queues = null, maxAttempts = 25, priority = 0 }) {
      await sql`
        insert into chaos.jobs (job, task, queue)
        select added.id, ${task}, case when ${queues}::int is null then null else 'queue ' || n % ${queues}::int end
        from generate_series(1, ${count}::int) n, lateral graphile_worker.add_job(
          ${task}::text,
          json_build_object('ms', ${ms}::int),
          queue_name => case when ${queues}::int is null then null else 'queue ' || n % ${queues}::int end,
          run_at => now() - interval '1 minute' + n * interval '1 microsecond',
          max_attempts => ${maxAttempts}::int,
          priority => ${priority}::int
        ) added
        order by n`
    },
    async work(options = {}, workerUrl = url) {
      const env = { CHAOS_WORKER_URL: workerUrl, CHAOS_RECORD_URL: url }
      const child = start(process.execPath, [script, JSON.stringify(options)], { env })
      await child.output(/^ready$/m)
      return child
    },
    async ended() {
      const [row] = await insist(
        () => sql<{ count: number }[]>`select count(distinct job)::int from chaos.runs where ended_at is not null`
      )
      return row?.count ?? 0
    },
    async whenBegun(count) {
      const isBegun = async (): Promise<boolean> => {
        const [row] = await sql<{ count: number }[]>`select count(distinct job)::int from chaos.runs`
        return (row?.count ?? 0) >= count
      }
      await until(isBegun, { timeoutMs: PATIENCE_MS, intervalMs: 50, what: `the start of ${count} jobs` })
    },
    async whenEnded(count, timeoutMs = PATIENCE_MS) {
      const beganMs = performance.now()
      await until(async () => (await arena.ended()) >= count, { timeoutMs, intervalMs: 50, what: `${count} jobs` })
      return performance.now() - beganMs
    },
    async heldBy(pid) {
      const rows = await sql<{ id: string }[]>`
        select jobs.id::text as id
        from graphile_worker._private_jobs jobs join kretes.workers on workers.id = jobs.locked_by
        where workers.pid = ${pid}`
      return rows.map(({ id }) => id)
    },
    async whenSettled(failed = 0) {
      const isSettled = async (): Promise<boolean> => {
        const [row] = await insist(
          () => sql<{ left: number }[]>`select count(*)::int as left from graphile_worker.jobs`
        )
        return row?.left === failed
      }
      await until(isSettled, { timeoutMs: PATIENCE_MS, intervalMs: 50, what: 'all jobs written off' })
    }
  }
  return arena
}

/** The referee's own statements may meet the fault, too. */
async function insist<Result>(statement: () => PromiseLike<Result>): Promise<Result> {
  const attempt = async (): Promise<{ result: Result } | undefined> => {
    try {
      return { result: await statement() }
    } catch {
      return undefined
    }
  }
  const { result } = (await until(attempt, { timeoutMs: PATIENCE_MS, intervalMs: 20, what: 'the database' }))!
  return result
}

/** How long a busy machine may take for what takes seconds. How long it took is judged by who asked. */
const PATIENCE_MS = 120_000
