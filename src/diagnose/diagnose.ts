import postgres, { type Options, type Sql } from 'postgres'
import { type Names, refuseUnknown } from '../check/options.ts'
import { withoutDeadlock } from '../database/deadlock.ts'
import { clientWithoutHoles } from '../database/holes.ts'
import { connect, type Database } from '../database/open.ts'
import { toMilliseconds } from '../duration.ts'
import { type PruneOptions, type PruneReport, prune, toKept } from '../ledger/prune-command.ts'
import { toTarget } from '../manage/reschedule.ts'
import type { JobReference } from '../schedule.ts'
import type { Access } from '../sql/statement.ts'
import { type Diagnosis, diagnose } from './doctor.ts'
import { readStatus, type Status, type StatusOptions } from './status.ts'
import { explainJob, type Why } from './why.ts'

/**
 * Tells how things stand, and looks after what is kept. No call creates a database or a schema: it rejects with a
 * `BackgroundError` of code `NO_DATABASE` or `MIGRATION` where there is none.
 */
export interface Inspection {
  /**
   * How things stand: tasks, queues and workers, with what waits and runs now and what has ended lately. It costs the
   * same whether the ledger holds ten runs or ten million.
   *
   * @throws {TypeError} if the window is no duration
   * @throws {RangeError} if the window is shorter than a minute, or `maxQueues` is no whole number from 0
   * @example
   * ```ts
   * import { Background } from 'kretes'
   *
   * const { totals, tasks, queues, workers } = await Background.status({ window: '15m' })
   * console.log(`${totals.waiting} jobs wait, the oldest for ${totals.oldestWaitingMs ?? 0} ms`)
   * for (const { task, ratePerMinute, p95Ms } of tasks) console.log(task, ratePerMinute, p95Ms)
   * console.log(queues.length, workers.filter(({ isAlive }) => isAlive).length)
   * ```
   */
  status(options?: StatusOptions): Promise<Status>
  /**
   * Why a job does not run, or what it is doing instead: the most important reason first.
   *
   * @param job its id, its key (as `{ key }` if it consists of digits), or the job itself
   * @throws {TypeError} if it names no job
   * @example
   * ```ts
   * import { Background } from 'kretes'
   *
   * const job = await Background.schedule({ task: 'SendEmail', delay: '1h' })
   * const { reasons } = await Background.why(job)
   * console.log(reasons[0]?.code, reasons[0]?.message)
   * ```
   */
  why(job: JobReference): Promise<Why>
  /**
   * Looks for what is wrong or soon will be: with the server, the connection, the schema, the tables, the workers and
   * the jobs. It changes nothing, not even a schema that is not up to date. A database that cannot be reached is a
   * finding as well.
   *
   * @example
   * ```ts
   * import { Background } from 'kretes'
   *
   * const { isHealthy, findings } = await Background.doctor()
   * if (!isHealthy) for (const { severity, message, remedy } of findings) console.log(severity, message, remedy)
   * ```
   */
  doctor(): Promise<Diagnosis>
  /**
   * Removes runs that are older than they have to be kept, a day at a time, and folds counters. Nobody who reads or
   * writes runs waits for it. Workers do the same by themselves.
   *
   * @throws {TypeError} if an age is no duration
   * @throws {RangeError} if an age is negative
   * @example
   * ```ts
   * import { Background } from 'kretes'
   *
   * const { dropped } = await Background.prune({ keepSuccesses: '3d', keepFailures: '14d' })
   * console.log(`Dropped ${dropped.length} partitions`)
   * ```
   */
  prune(options?: PruneOptions): Promise<PruneReport>
}

/** What {@linkcode StatusOptions} may hold. */
export const STATUS_OPTIONS: Names<StatusOptions> = { window: true, maxQueues: true }

/** What {@linkcode PruneOptions} may hold. */
export const PRUNE_OPTIONS: Names<PruneOptions> = { keepSuccesses: true, keepFailures: true, dryRun: true }

/** What a Background has opened. */
interface Opened {
  readonly database: Database
  readonly access: Access
}

type Use = <Result>(what: string, work: (opened: Opened) => Promise<Result>) => Promise<Result>

/** Makes the calls that only look. */
export function createInspection(use: Use, schema: string): Inspection {
  return {
    async status(options = {}) {
      refuseUnknown(options, STATUS_OPTIONS, 'tell the status')
      const { window = '1h', maxQueues = 100 } = options
      const windowMs = toMilliseconds(window, 'tell the status', 'the window')
      if (windowMs < MINUTE_MS) {
        throw new RangeError(`Cannot tell the status: the window is ${windowMs} ms, shorter than a minute`)
      }
      if (!Number.isInteger(maxQueues) || maxQueues < 0) {
        throw new RangeError(`Cannot tell the status: maxQueues is ${maxQueues}, not a whole number from 0`)
      }
      return await use('tell the status', ({ access }) =>
        withoutDeadlock(() => readStatus(access, windowMs, maxQueues))
      )
    },
    async why(job) {
      const target = toTarget(job, 'explain')
      return await use('explain a job', ({ access }) => withoutDeadlock(() => explainJob(access, target)))
    },
    doctor: () =>
      use('examine the database', ({ database }) =>
        withOwn(database, sql => diagnose({ sql, schema, label: database.label }))
      ),
    async prune(options = {}) {
      refuseUnknown(options, PRUNE_OPTIONS, 'prune the ledger')
      const kept = toKept(options)
      return await use('prune the ledger', ({ database }) =>
        withoutDeadlock(() => withOwn(database, sql => prune(sql, schema, kept, options.dryRun ?? false)))
      )
    }
  }
}

/** With connections of its own: the doctor tries what a pooler would break, and partitions go outside of transactions. */
async function withOwn<Result>({ client, url }: Database, work: (sql: Sql) => Promise<Result>): Promise<Result> {
  const options = { max: MOST_CONNECTIONS, prepare: false, fetch_types: false }
  const sql = client
    ? clientWithoutHoles(postgres({ ...client.options, ...options } as unknown as Options<Record<string, never>>))
    : connect({ url }, { max: MOST_CONNECTIONS, prepare: false, name: 'kretes doctor' })
  try {
    return await work(sql)
  } finally {
    await sql.end({ timeout: 1 })
  }
}

const MINUTE_MS = 60_000
const MOST_CONNECTIONS = 3
