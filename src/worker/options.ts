import { LONGEST_TIMER_MS } from '../async/timer.ts'
import { type Backoff, compileBackoff, type DelayOf } from '../backoff.ts'
import { type Names, refuseUnknown } from '../check/options.ts'
import { type Duration, toTimeLimit } from '../duration.ts'
import { createSafeLogger, type Logger, silentLogger } from '../logger.ts'
import { createRedactor, type Redactor } from '../redact/redactor.ts'
import { type Keep, type Retention, toRetention } from '../rules/retention.ts'
import type { QueueChoice } from '../sql/flow/choice.ts'
import type { AnyTask } from '../task.ts'
import { CHOICE_OPTIONS, type ChoiceOptions, readQueues } from './choice.ts'

/** The options of {@linkcode startWorker}. */
export interface WorkerOptions extends ChoiceOptions {
  /**
   * The directory of the task files, or an object of tasks by name.
   *
   * @default 'tasks'
   */
  tasks?: string | URL | Readonly<Record<string, AnyTask>>
  /**
   * The connection string of the database. It wins over the environment.
   *
   * @default `DATABASE_URL`; else the `PG*` variables if `PGHOST` or `PGDATABASE` is set; else, unless `NODE_ENV` is
   * `production`, an embedded PostgreSQL in the project's `.kretes/` directory
   */
  connection?: string | URL
  /**
   * How many jobs run at the same time.
   *
   * @default 10
   */
  concurrency?: number
  /**
   * How many jobs the worker fetches at once and holds until they start. At least `concurrency`. A larger number is
   * faster with short jobs; a smaller number leaves more jobs to other workers. By default it starts at five times
   * `concurrency`, and grows up to ten times that while fetching jobs takes longer than running them.
   *
   * @default five times `concurrency`, growing as needed
   */
  localQueueSize?: number
  /**
   * How long a fetched job waits in this worker before the worker gives it back for other workers. A shorter time is
   * fairer to idle workers; a longer time saves a statement when jobs take about this long. From 1 ms to 24 days.
   *
   * @default '500ms'
   */
  localQueueTtl?: Duration
  /**
   * The longest time between two fetches. Notifications of new jobs and jobs that come due cause earlier fetches. The
   * worker also looks this far ahead for jobs that come due. From 10 ms to 24 days.
   *
   * @default '5s'
   */
  pollInterval?: Duration
  /**
   * How many workers may be lost while they run a job. The job then fails for good instead of running again.
   *
   * @default 3
   */
  maxLosses?: number
  /**
   * How long a job waits after a failed attempt. The `backoff` of a task wins over this option.
   *
   * @default 'exponential'
   */
  backoff?: Backoff
  /**
   * How long running jobs may take to finish when the worker stops. Their signals abort after that time. From 0 ms to
   * 24 days. The `timeout` of `stop` wins over this option.
   *
   * @default '25s'
   */
  shutdownTimeout?: Duration
  /**
   * The port of the health endpoints, which answer over HTTP. `/live` answers 200 while the event loop runs. `/ready`
   * answers 200 while the worker can take jobs, else 503. With 0 the worker takes any free port and logs its number.
   *
   * @default none: the worker serves no health endpoints
   */
  healthPort?: number
  /**
   * The address on which the worker opens `healthPort`. The answers hold no secrets. Use `127.0.0.1` to serve only this
   * machine.
   *
   * @default all addresses, so that an orchestrator such as Kubernetes can reach the endpoints
   */
  healthHost?: string
  /**
   * Whether the worker stops once no job is due.
   *
   * @default false
   */
  once?: boolean
  /**
   * Whether to use named prepared statements. Turn this off behind a pooler that does not support them. The worker
   * needs `LISTEN`, so a pooler must be in session mode in any case.
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
   * What the worker records of ended runs, and for how long. `false` records nothing. Views such as `kretes.runs` show
   * the records.
   *
   * @default successes for 7 days and failures for 30 days, without payloads
   */
  ledger?: false | LedgerOptions
  /**
   * Receives a line for the start and the end of each job, and for events of the worker.
   *
   * @default none: the worker logs nothing
   */
  logger?: Logger
}

/** What a worker records of ended runs. */
export interface LedgerOptions {
  /**
   * How long to keep runs that did not fail. A run is kept for at least this time, and up to a day longer. `'forever'`
   * keeps all of them; `false` keeps none, but still counts them. If several workers use different times, the shortest
   * one wins, because each worker removes the runs that are too old by its own setting.
   *
   * @default '7d'
   */
  keepSuccesses?: Keep
  /**
   * How long to keep runs that failed, timed out, or were lost with their worker. The same rules hold as for
   * `keepSuccesses`.
   *
   * @default '30d'
   */
  keepFailures?: Keep
  /**
   * Whether to keep the payload of a job with its runs.
   *
   * @default false
   */
  keepPayloads?: boolean
  /**
   * More names of fields to hide in the records. `[redacted]` replaces the value of a hidden field in payloads,
   * results, log fields and thrown values, at any depth. A field is hidden if one word of its name is in the list:
   * `card` hides `cardNumber` and `credit_card`. The built-in words are password, passphrase, pwd, pass, secret, token,
   * cookie, credential, authorization, bearer, jwt, otp, cvv, cvc, and key after api, access, auth, private, secret,
   * signing, encryption, ssh and master.
   *
   * @default only the built-in words
   */
  redact?: readonly string[]
  /**
   * The largest result of a task to keep, in bytes of JSON. The worker does not keep a larger result and logs a
   * warning; a caller that awaits the result gets the error `RESULT_NOT_KEPT`.
   *
   * @default 65536
   */
  maxResultBytes?: number
}

/** The names of the {@linkcode WorkerOptions}. */
export const WORKER_OPTIONS: Names<WorkerOptions> = {
  tasks: true,
  ...CHOICE_OPTIONS,
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

/** The names of the {@linkcode LedgerOptions}. */
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

/** {@linkcode WorkerOptions} after validation, with all defaults. */
export interface ResolvedOptions {
  readonly tasks: string | URL | Readonly<Record<string, AnyTask>>
  readonly queues: QueueChoice
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
 * Validates the options of a worker and adds the defaults.
 *
 * @throws {TypeError} if an option is unknown
 * @throws {RangeError} if a number or a duration is out of range
 */
export function resolveOptions(options: WorkerOptions): ResolvedOptions {
  refuseUnknown(options, WORKER_OPTIONS, 'start a worker')
  const concurrency = wholeNumber('concurrency', options.concurrency, 10, 1)
  // Measured: twice the concurrency is half as fast as ten times. But jobs that a killed worker has fetched are stuck
  // for a while, so the default starts lower.
  const localQueueSize = wholeNumber('localQueueSize', options.localQueueSize, concurrency * 5, concurrency)
  return {
    tasks: options.tasks ?? 'tasks',
    queues: readQueues(options),
    connection: options.connection,
    concurrency,
    localQueueSize,
    maxLocalQueueSize: options.localQueueSize === undefined ? localQueueSize * 10 : localQueueSize,
    // The engine's timers cannot run longer. A fetch once in 24 days does no harm.
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

/** The largest number that the database and the engine accept. */
const MAX = 2 ** 31 - 1
