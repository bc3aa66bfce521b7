import { type Names, refuseUnknown } from '../check/options.ts'
import { type Database, templateOf } from '../database/open.ts'
import { toMilliseconds } from '../duration.ts'
import { type JobReference, toTarget } from '../reference.ts'
import type { Access } from '../sql/statement.ts'
import { type Diagnosis, diagnose } from './doctor.ts'
import { readStatus, type Status, type StatusOptions } from './status.ts'
import { explainJob, type Why } from './why.ts'

/**
 * Shows the status of the system, explains why jobs wait, and looks for problems. No call creates a database or a
 * schema: it rejects with a `BackgroundError` of code `NO_DATABASE` or `MIGRATION` if there is none.
 */
export interface Monitoring {
  /**
   * Reads the status of tasks, queues and workers: the jobs that wait and run now, and the runs that have ended lately.
   * The cost does not depend on the size of the history.
   *
   * @throws {TypeError} if the window is not a duration
   * @throws {RangeError} if the window is shorter than a minute, or `maxQueues` is not a whole number from 0
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
   * Explains why a job does not run, or what it is doing instead. The most important reason comes first. If no job has the
   * key, the recurring job of that name is explained: when it runs next, and why it has skipped an occurrence.
   *
   * @param job its id, its key (as `{ key }` if it consists of digits), the job itself, or the name of a recurring job
   * @throws {TypeError} if the argument names no job
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
   * Looks for problems, present or near, of the server, the connection, the schema, the tables, the workers and the jobs.
   * It changes nothing, not even a schema that is out of date. An unreachable database is a finding too.
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
}

/** The names of the {@linkcode StatusOptions}, for checks. */
export const STATUS_OPTIONS: Names<StatusOptions> = { window: true, maxQueues: true }

/** A database, and how to reach the engine there. */
interface Opened {
  readonly database: Database
  readonly access: Access
}

/** Creates the calls that diagnose one database. */
export function createDiagnosis(
  use: <Result>(doing: string, work: (opened: Opened) => Promise<Result>) => Promise<Result>,
  schema: string
): Monitoring {
  return {
    async status(options = {}) {
      const doing = 'tell the status'
      refuseUnknown(options, STATUS_OPTIONS, doing)
      const { window = '1h', maxQueues = 100 } = options
      const windowMs = toMilliseconds(window, doing, 'the window')
      if (windowMs < MINUTE_MS) {
        throw new RangeError(`Cannot ${doing}: the window is ${windowMs} ms, shorter than a minute`)
      }
      if (!Number.isInteger(maxQueues) || maxQueues < 0) {
        throw new RangeError(`Cannot ${doing}: maxQueues is ${maxQueues}, not a whole number from 0`)
      }
      return await use(doing, ({ access }) => readStatus(access, windowMs, maxQueues))
    },
    async why(job) {
      const target = toTarget(job, 'explain')
      return await use('explain a job', ({ access }) => explainJob(access, target))
    },
    doctor: () =>
      use('examine the database', ({ database }) =>
        diagnose({ client: templateOf(database), schema, label: database.label })
      )
  }
}

const MINUTE_MS = 60_000
