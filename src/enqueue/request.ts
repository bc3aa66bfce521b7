import { checkDefaults } from '../check/defaults.ts'
import { type Names, refuseUnknown } from '../check/options.ts'
import { toTimes } from '../check/times.ts'
import { checkKey } from '../check/values.ts'
import type { JobDefaults, KeyMode } from '../job.ts'
import { isPerKey, laneOf } from '../limit/lane.ts'
import type { TaskVersion } from '../limit/version.ts'
import type { JobOptions } from '../schedule.ts'
import { validatePayload } from '../schema.ts'
import type { EngineKeyMode, NewJob } from '../sql/jobs/add.ts'
import { nameOfTask, optionsOf, type TaskOptions } from '../task.ts'
import { describe } from '../text/describe.ts'
import { isTaskName, notATaskName } from '../text/task-name.ts'
import { encodePayload } from './payload.ts'

/** The options of a call of `schedule`. They are checked here, because not every caller has a compiler. */
export type AnyOptions = JobOptions & { task: unknown; payload?: unknown }

/** The names of the {@linkcode AnyOptions}, for checks. */
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

/** The options of a task that workers register. */
export type Registered = JobDefaults & TaskVersion & Pick<TaskOptions, 'limit'> & { readonly isLimited?: boolean }

/** A job without its payload. */
export type Request = Omit<NewJob, 'payload'>

/**
 * Reads what a call asks for. The call's options win over the task's, and these over the defaults.
 *
 * @param registered the options that workers have registered for a task that is scheduled by name
 * @throws {TypeError} if an option has the wrong type, or there is no such option
 * @throws {RangeError} if an option is out of range
 */
export function toRequest(
  options: AnyOptions,
  defaults: JobDefaults,
  names: Readonly<Record<string, true>> = JOB_OPTIONS,
  registered: Registered | undefined = undefined
): Request {
  const task = nameOf(options?.task)
  refuseUnknown(options, names, `schedule ${task}`)
  const own: Registered = registered ?? optionsOf(options.task)
  const { key, keyMode = 'replace' } = options
  const times = toTimes(options, `schedule ${task}`)
  checkOptions(task, options)
  const { limit } = own
  const isLimited = limit !== undefined || own.isLimited
  if (isLimited && options.queue)
    throw new TypeError(`Cannot schedule ${task}: it has limits, so it cannot have a queue`)
  const defaultQueue = own.queue === undefined && !isLimited ? defaults.queue : own.queue
  const queue = options.queue === undefined ? defaultQueue : options.queue
  return {
    task,
    queue: limit && !isPerKey(limit) ? laneOf(task, limit) : (queue?.name ?? null),
    isLimited: limit !== undefined,
    slots: queue?.concurrency ?? null,
    runAt: times.runAt,
    delayMs: times.delayMs ?? 0,
    priority: options.priority ?? own.priority ?? defaults.priority ?? null,
    maxAttempts: options.maxAttempts ?? own.maxAttempts ?? defaults.maxAttempts ?? null,
    key: key ?? null,
    keyMode: KEY_MODES[keyMode],
    version: own.version ?? null
  }
}

/** Settings of a Background that hold for all its jobs. */
export interface JobSettings {
  /** The schema of the engine's tables. */
  readonly schema: string
  readonly defaults: JobDefaults
  readonly maxPayloadBytes: number
}

/**
 * Adds the payload to a request. Returns a promise only if the task's schema does, so that calls keep their order.
 *
 * @throws what {@linkcode toPayload} throws
 */
export function toNewJob(given: AnyOptions, request: Request, settings: JobSettings): NewJob | Promise<NewJob> {
  const payload = toPayload(given, settings, request.task)
  const { limit } = optionsOf(given.task)
  const add = (text: string): NewJob => ({
    ...request,
    payload: text,
    queue: limit && isPerKey(limit) ? laneOf(request.task, limit, text) : request.queue
  })
  return payload instanceof Promise ? payload.then(add) : add(payload)
}

/**
 * Writes a payload as JSON. Returns a promise only if the task's schema does.
 *
 * @throws {TypeError} if the payload is not an object that JSON can hold
 * @throws {RangeError} if the payload is too large
 * @throws {BackgroundError} `INVALID_PAYLOAD` if the task's schema refuses the JSON
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

const KEY_MODES: Readonly<Record<KeyMode, EngineKeyMode>> = {
  replace: 'replace',
  preserveRunAt: 'preserve_run_at',
  unsafeDedupe: 'unsafe_dedupe'
}

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
