import { type Names, refuseUnknown } from '../check/options.ts'
import { checkDefaults, checkKey, checkTime } from '../check/values.ts'
import { toMilliseconds } from '../duration.ts'
import type { JobDefaults, KeyMode } from '../job.ts'
import type { JobOptions } from '../schedule.ts'
import { validatePayload } from '../schema.ts'
import type { EngineKeyMode, NewJob } from '../sql/add.ts'
import { isTaskName, nameOfTask, notATaskName, optionsOf } from '../task.ts'
import { describe } from '../text/describe.ts'
import { encodePayload } from './payload.ts'

/** A call of `schedule`, of whatever task; checked here, since not every caller has a compiler. */
export type AnyOptions = JobOptions & { task: unknown; payload?: unknown }

/** What {@linkcode AnyOptions} may hold. */
export const JOB_OPTIONS: Names<AnyOptions> = {
  task: true,
  payload: true,
  queue: true,
  priority: true,
  maxAttempts: true,
  runAt: true,
  delay: true,
  key: true,
  keyMode: true
}

/** All of a job but its payload. */
export type Request = Omit<NewJob, 'payload'>

/**
 * What a call asks for, filled up from the task and then from the defaults.
 *
 * @param registered what workers have registered of a task that is scheduled by name
 *
 * @throws {TypeError} if an option has a wrong type, or there is no such option
 * @throws {RangeError} if an option is out of range
 */
export function toRequest(
  options: AnyOptions,
  defaults: JobDefaults,
  names: Readonly<Record<string, true>> = JOB_OPTIONS,
  registered: JobDefaults | undefined = undefined
): Request {
  const task = nameOf(options?.task)
  refuseUnknown(options, names, `schedule ${task}`)
  const own: JobDefaults = registered ?? optionsOf(options.task)
  const { key, keyMode = 'replace' } = options
  const times = toTimes(options, `schedule ${task}`)
  checkOptions(task, options)
  const queue = options.queue === undefined ? (own.queue === undefined ? defaults.queue : own.queue) : options.queue
  return {
    task,
    queue: queue?.name ?? null,
    runAt: times.runAt,
    delayMs: times.delayMs ?? 0,
    priority: options.priority ?? own.priority ?? defaults.priority ?? null,
    maxAttempts: options.maxAttempts ?? own.maxAttempts ?? defaults.maxAttempts ?? null,
    key: key ?? null,
    keyMode: KEY_MODES[keyMode]
  }
}

/** What holds for all jobs of a Background. */
export interface JobSettings {
  /** The schema of the engine's tables. */
  readonly schema: string
  readonly defaults: JobDefaults
  readonly maxPayloadBytes: number
}

/**
 * The job that a call asks for, with its payload as JSON. Not a promise unless the task's schema gives one, so that
 * calls keep their order.
 *
 * @throws what {@linkcode toPayload} throws
 */
export function toNewJob(given: AnyOptions, request: Request, settings: JobSettings): NewJob | Promise<NewJob> {
  const payload = toPayload(given, settings, request.task)
  return payload instanceof Promise ? payload.then(text => ({ ...request, payload: text })) : { ...request, payload }
}

/**
 * A payload as JSON. Not a promise unless the task's schema gives one.
 *
 * @throws {TypeError} if the payload is none
 * @throws {RangeError} if it is too large
 * @throws {BackgroundError} `INVALID_PAYLOAD` if the task's schema refuses what would be stored
 */
export function toPayload(
  { task, payload: given }: AnyOptions,
  { maxPayloadBytes }: JobSettings,
  name: string
): string | Promise<string> {
  const payload = encodePayload(name, given, maxPayloadBytes)
  const { schema } = optionsOf(task)
  const checked = schema && validatePayload(schema, JSON.parse(payload), `schedule ${name}`)
  return checked instanceof Promise ? checked.then(() => payload) : payload
}

/** When a job is to run: at most one of the two. */
export interface Times {
  readonly runAt: string | null
  readonly delayMs: number | null
}

/** The time that a call names. */
export function toTimes({ runAt, delay }: Pick<JobOptions, 'runAt' | 'delay'>, doing: string): Times {
  if (runAt !== undefined && delay !== undefined) {
    throw new TypeError(`Cannot ${doing}: both runAt and delay are given`)
  }
  return {
    runAt: runAt === undefined ? null : toInstant(runAt, doing),
    delayMs: delay === undefined ? null : toMilliseconds(delay, doing, 'delay')
  }
}

const KEY_MODES: Readonly<Record<KeyMode, EngineKeyMode>> = {
  replace: 'replace',
  preserveRunAt: 'preserve_run_at',
  unsafeDedupe: 'unsafe_dedupe'
}

/** A point in time: date, time and zone, so that it is the same everywhere. */
const INSTANT = /^[+-]?\d{4,6}-\d\d-\d\d[T ]\d\d:\d\d(?::\d\d(?:[.,]\d+)?)?(?:Z|[+-]\d\d(?::?\d\d)?)$/i

function nameOf(task: unknown): string {
  const name = nameOfTask(task, typeof task === 'function' ? 'schedule a task' : 'schedule a job')
  if (isTaskName(name)) return name
  throw new TypeError(`Cannot schedule a task: ${notATaskName(name)}`)
}

function checkOptions(task: string, options: AnyOptions): void {
  const { key, keyMode } = options
  const doing = `schedule ${task}`
  checkDefaults(options, doing)
  if (key !== undefined) checkKey(key, doing)
  if (keyMode === undefined) return
  if (!Object.hasOwn(KEY_MODES, keyMode)) {
    throw new TypeError(
      `Cannot ${doing}: keyMode is ${describe(keyMode)}, none of ${Object.keys(KEY_MODES).join(', ')}`
    )
  }
  if (key === undefined) throw new TypeError(`Cannot ${doing}: keyMode is given without a key`)
}

function toInstant(runAt: unknown, doing: string): string {
  if (typeof runAt === 'string' && !INSTANT.test(runAt)) {
    throw new RangeError(
      `Cannot ${doing}: runAt is ${JSON.stringify(runAt)}, not a time with a zone such as 2030-01-31T08:00:00Z`
    )
  }
  if (typeof runAt !== 'string' && !(runAt instanceof Date)) {
    throw new TypeError(`Cannot ${doing}: runAt is ${describe(runAt)}, neither a Date nor a string`)
  }
  const time = new Date(runAt)
  checkTime(time, doing, 'runAt', runAt)
  return time.toISOString()
}
