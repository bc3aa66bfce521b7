import { LONGEST_TIMER_MS } from '../async/timer.ts'
import { type Backoff, compileBackoff, type DelayOf } from '../backoff.ts'
import { type Names, refuseUnknown } from '../check/options.ts'
import { type Duration, toTimeLimit } from '../duration.ts'
import { createSafeLogger, type Logger, silentLogger } from '../logger.ts'
import { createRedactor, type Redactor } from '../redact/redactor.ts'
import { type Keep, type Retention, toRetention } from '../rules/retention.ts'
import type { AnyTask } from '../task.ts'

/** What {@linkcode startWorker} takes. */
export interface WorkerOptions {
  /**
   * The directory of the task files, or the tasks themselves by name.
   *
   * @default 'tasks'
   */
  tasks?: string | URL | Readonly<Record<string, AnyTask>>
  /**
   * The database: a connection string. It wins over the environment.
   *
   * @default `DATABASE_URL`, else the `PG*` variables if `PGHOST` or `PGDATABASE` is set, else, unless `NODE_ENV` is
   * `production`, a PostgreSQL of the project's own in `.kretes/`
   */
  connection?: string | URL
  /**
   * How many jobs run at the same time.
   *
   * @default 10
   */
  concurrency?: number
  /**
   * How many jobs are fetched at once and kept at hand. More is faster with short jobs; fewer leaves more to other
   * workers. Left out, it begins at five times `concurrency` and grows up to ten times that while fetching takes longer
   * than running what was fetched.
   *
   * @default five times `concurrency`, growing as needed
   */
  localQueueSize?: number
  /**
   * After how long jobs that were fetched and not begun go back for other workers to take. Shorter is fairer to workers
   * that idle; longer saves a statement where jobs take about this long. From 1 ms to 24 days.
   *
   * @default '500ms'
   */
  localQueueTtl?: Duration
  /**
   * How much time passes at most before the database is asked for jobs. Notifications make it sooner, and so do jobs that
   * come due: the worker knows of them as far ahead. From 10 ms to 24 days.
   *
   * @default '5s'
   */
  pollInterval?: Duration
  /**
   * How many workers a job may take down with it. Then it fails for good instead of running again.
   *
   * @default 3
   */
  maxLosses?: number
  /**
   * How long a job waits after a failed attempt, unless its task says otherwise.
   *
   * @default 'exponential'
   */
  backoff?: Backoff
  /**
   * How long running jobs get to finish when the worker stops, before their signals abort: up to 24 days.
   *
   * @default '25s'
   */
  shutdownTimeout?: Duration
  /**
   * The port on which the worker tells over HTTP how it is: `/live` answers 200 while the process works at all, `/ready`
   * answers 200 while it can take jobs and 503 while it cannot. 0 takes any free port and logs which.
   *
   * @default none: nothing is served
   */
  healthPort?: number
  /**
   * The address at which `healthPort` is open. The answers hold no secrets, but `127.0.0.1` keeps them to this machine.
   *
   * @default all addresses, so that an orchestrator such as Kubernetes reaches it
   */
  healthHost?: string
  /**
   * Whether to end by itself once no job is due.
   *
   * @default false
   */
  once?: boolean
  /**
   * Whether statements are prepared by name. Turn it off behind a pooler that cannot keep them. The worker needs
   * `LISTEN`, so a pooler must be in session mode in any case.
   *
   * @default true
   */
  prepare?: boolean
  /**
   * The schema of the engine's tables.
   *
   * @default 'graphile_worker'
   */
  schema?: string
  /**
   * What is kept of runs that have ended, and for how long; `false` records nothing. Views such as `kretes.runs` show it.
   *
   * @default successes for 7 days and failures for 30, without payloads
   */
  ledger?: false | LedgerOptions
  /**
   * Told of each job's start and end, and of what the worker itself goes through.
   *
   * @default none
   */
  logger?: Logger
}

/** What a worker keeps of runs that have ended. */
export interface LedgerOptions {
  /**
   * For how long runs that did not fail are kept: at least so long, and up to a day longer. `'forever'` keeps them all;
   * `false` keeps none, though they are counted. Of several workers the shortest time holds: each removes what is too old
   * for itself.
   *
   * @default '7d'
   */
  keepSuccesses?: Keep
  /**
   * The same for runs that failed, timed out, or were lost with their worker.
   *
   * @default '30d'
   */
  keepFailures?: Keep
  /**
   * Whether what tasks were given is kept with their runs.
   *
   * @default false
   */
  keepPayloads?: boolean
  /**
   * Names to hide beside the usual ones. `[redacted]` replaces the values below such a name in what is kept of payloads,
   * results, log fields and thrown values, at any depth. A name is hidden if one of its words is: `card` hides
   * `cardNumber` and `credit_card`. The usual words are password, passphrase, pwd, pass, secret, token, cookie,
   * credential, authorization, bearer, jwt, otp, cvv, cvc, and key after api, access, auth, private, secret, signing,
   * encryption, ssh and master.
   *
   * @default none besides the usual ones
   */
  redact?: readonly string[]
  /**
   * How many bytes of JSON the result of a task may take; a larger one is not kept: the log says so, and the
   * caller who waits for it gets `RESULT_NOT_KEPT`.
   *
   * @default 65536
   */
  maxResultBytes?: number
}

/** What {@linkcode WorkerOptions} may hold. */
export const WORKER_OPTIONS: Names<WorkerOptions> = {
  tasks: true,
  connection: true,
  concurrency: true,
  localQueueSize: true,
  localQueueTtl: true,
  pollInterval: true,
  maxLosses: true,
  backoff: true,
  shutdownTimeout: true,
  healthPort: true,
  healthHost: true,
  once: true,
  prepare: true,
  schema: true,
  ledger: true,
  logger: true
}

/** What {@linkcode LedgerOptions} may hold. */
export const LEDGER_OPTIONS: Names<LedgerOptions> = {
  keepSuccesses: true,
  keepFailures: true,
  keepPayloads: true,
  redact: true,
  maxResultBytes: true
}

/** {@linkcode LedgerOptions} with every default in place. */
export interface LedgerSettings extends Retention {
  readonly keepPayloads: boolean
  readonly redactor: Redactor
  readonly maxResultBytes: number
}

/** The options of a worker with every default in place. */
export interface ResolvedOptions {
  readonly tasks: string | URL | Readonly<Record<string, AnyTask>>
  readonly connection: string | URL | undefined
  readonly concurrency: number
  readonly localQueueSize: number
  readonly maxLocalQueueSize: number
  readonly localQueueTtlMs: number
  readonly pollIntervalMs: number
  readonly shutdownTimeoutMs: number
  readonly maxLosses: number
  readonly healthPort: number | undefined
  readonly healthHost: string | undefined
  readonly backoff: DelayOf
  readonly once: boolean
  readonly prepare: boolean
  readonly schema: string
  /** `undefined` records nothing. */
  readonly ledger: LedgerSettings | undefined
  readonly logger: Logger
}

/**
 * @throws {TypeError} if there is no such option
 * @throws {RangeError} if a number is none, or too small to work with, or a duration of the backoff is
 */
export function resolveOptions(options: WorkerOptions): ResolvedOptions {
  refuseUnknown(options, WORKER_OPTIONS, 'start a worker')
  const concurrency = wholeNumber('concurrency', options.concurrency, 10, 1)
  // Measured: twice the concurrency drains half as fast as ten times; a killed worker strands what it has fetched.
  const localQueueSize = wholeNumber('localQueueSize', options.localQueueSize, concurrency * 5, concurrency)
  return {
    tasks: options.tasks ?? 'tasks',
    connection: options.connection,
    concurrency,
    localQueueSize,
    maxLocalQueueSize: options.localQueueSize === undefined ? localQueueSize * 10 : localQueueSize,
    // The engine's timers take no longer time. That it asks once in 24 days in place of never, nobody notices.
    localQueueTtlMs: Math.min(milliseconds('localQueueTtl', options.localQueueTtl, 500, 1), LONGEST_TIMER_MS),
    pollIntervalMs: Math.min(milliseconds('pollInterval', options.pollInterval, 5_000, 10), LONGEST_TIMER_MS),
    shutdownTimeoutMs: milliseconds('shutdownTimeout', options.shutdownTimeout, 25_000, 0),
    maxLosses: wholeNumber('maxLosses', options.maxLosses, 3, 1),
    healthPort: options.healthPort === undefined ? undefined : portNumber(options.healthPort),
    healthHost: options.healthHost,
    backoff: compileBackoff(options.backoff ?? 'exponential', 'start a worker'),
    once: options.once ?? false,
    prepare: options.prepare ?? true,
    schema: options.schema ?? 'graphile_worker',
    ledger: options.ledger === false ? undefined : resolveLedger(options.ledger ?? {}),
    logger: options.logger ? createSafeLogger(options.logger) : silentLogger
  }
}

function resolveLedger(options: LedgerOptions): LedgerSettings {
  refuseUnknown(options, LEDGER_OPTIONS, 'start a worker', 'option of the ledger')
  return {
    ...toRetention(options, 'start a worker'),
    keepPayloads: options.keepPayloads ?? false,
    redactor: createRedactor(options.redact),
    maxResultBytes: wholeNumber('maxResultBytes', options.maxResultBytes, 65_536, 0)
  }
}

function wholeNumber(name: string, given: number | undefined, fallback: number, least: number, most = MAX): number {
  if (given === undefined) return fallback
  if (Number.isInteger(given) && given >= least && given <= most) return given
  throw new RangeError(
    `Cannot start a worker: ${name} is ${given}, not a whole number from ${least}${given > most ? ` to ${most}` : ''}`
  )
}

function milliseconds(name: string, given: Duration | undefined, fallback: number, least: number): number {
  if (given === undefined) return fallback
  const ms = toTimeLimit(given, 'start a worker', name)
  if (ms >= least) return ms
  throw new RangeError(`Cannot start a worker: ${name} is ${ms} ms, less than ${least} ms`)
}

function portNumber(given: number): number {
  if (Number.isInteger(given) && given >= 0 && given <= 65_535) return given
  throw new RangeError(`Cannot start a worker: healthPort is ${given}, not a whole number from 0 to 65535`)
}

/** What the database and the engine take for a number. */
const MAX = 2 ** 31 - 1
