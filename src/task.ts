import { type Backoff, compileBackoff } from './backoff.ts'
import { type Names, refuseUnknown } from './check/options.ts'
import { checkDefaults } from './check/values.ts'
import { type Duration, toTimeLimit } from './duration.ts'
import type { Job, JobDefaults } from './job.ts'
import type { LogFields, Logger } from './logger.ts'
import { isStandardSchema, type StandardSchema, validatePayload } from './schema.ts'
import { describe } from './text/describe.ts'

/** The payload of a task that does not say what it takes. */
// biome-ignore lint/suspicious/noExplicitAny: a task that declares no input may read any property of it
export type AnyPayload = Record<string, any>

/** What a task is told about the run at hand. */
export interface TaskContext {
  /** The job that is running. */
  readonly job: Job
  /** Which attempt this is, from 1. */
  readonly attempt: number
  /**
   * Aborts when the run should end early: its time is up (with a `TimeoutError`), the job was cancelled (`AbortError`),
   * or the worker is stopping and its patience is over.
   */
  readonly signal: AbortSignal
  /** Logs lines that carry the task's name and the job's id. The newest of them are kept with the run. */
  readonly logger: Logger
  /** Logs a line, as the logger's `info` does. */
  readonly log: (message: string, fields?: LogFields) => void
  /**
   * Says how far the run is, for others to see within a second. It may be called as often as one likes: only the last
   * word in half a second is written. What is not a number from 0 to 1 is ignored, with a warning in the log.
   *
   * @example
   * ```ts
   * import type { Task } from 'kretes'
   *
   * const ResizeImages: Task<{ paths: string[] }> = async ({ paths }, { progress, log }) => {
   *   for (const [index, path] of paths.entries()) {
   *     progress(index / paths.length, `resizing ${path}`)
   *     log(`Resized ${path}`)
   *   }
   * }
   * export default ResizeImages
   * ```
   *
   * @param fraction from 0 to 1
   * @param message what is being done; left out, the one before stays
   */
  readonly progress: (fraction: number, message?: string) => void
}

/**
 * A function that runs in the background, in a file of its own under `tasks/`. The file's name is the task's name:
 * `tasks/SendEmail.ts` exports the function `SendEmail` by default. Who schedules a plain function schedules it by the
 * function's name, so give it the same; {@linkcode defineTask} names a task whatever the file or a minifier calls it.
 *
 * @typeParam Input the payload; what it is here, `Background.schedule` asks for
 * @typeParam Output what the task returns
 * @example
 * ```ts
 * import type { Task } from 'kretes'
 *
 * const SendEmail: Task<{ to: string }> = async ({ to }, { logger }) => {
 *   logger.info(`Sending to ${to}`)
 * }
 * export default SendEmail
 * ```
 */
export type Task<Input extends object = AnyPayload, Output = unknown> = (
  input: Input,
  context: TaskContext
) => Output | Promise<Output>

/** What {@linkcode defineTask} makes: a task that always returns a promise. */
export type DefinedTask<Input extends object = AnyPayload, Output = unknown> = (
  input: Input,
  context: TaskContext
) => Promise<Output>

/** A task of whatever input, as collections of tasks hold it. */
// biome-ignore lint/suspicious/noExplicitAny: with any other type a task of a narrower input would not fit
export type AnyTask = Task<any>

/** How the worker runs the jobs of a task. */
export interface RunOptions<Input extends object = AnyPayload> {
  /**
   * How long a job waits after a failed attempt. It wins over the worker's `backoff`.
   *
   * @default the worker's: by default `'exponential'`
   */
  backoff?: Backoff
  /**
   * How long an attempt may take: milliseconds, `'5m'`, `{ minutes: 5 }`. Then its `signal` aborts with a `TimeoutError`
   * and the attempt has failed. A task that has not ended a second later is left to itself: it counts no longer as
   * running, its result is ignored, and the log says so.
   *
   * @default none
   */
  timeout?: Duration
  /**
   * Called when a job has failed for good: after its last attempt or a {@linkcode PermanentError}. What it throws is
   * logged and changes nothing. It gets as long as an attempt: the task's `timeout`, or a minute where there is none;
   * then its `signal` aborts, and a second later the job is written off without it. It may be called twice for one job
   * if the worker dies. It is not called for a job that took its workers down, which might take down the next: such a
   * job is in the log as `worker.lost`, and its error says so.
   *
   * @default none
   */
  onFailure?: (error: unknown, context: TaskContext, input: Input) => unknown
}

/** What {@linkcode defineTask} takes; its `queue`, `priority` and so on hold for jobs whose call names none. */
export interface TaskDefinition<Input extends object = AnyPayload, Output = unknown>
  extends JobDefaults,
    RunOptions<Input> {
  /** In CamelCase with a capital first letter, as the file. */
  name: string
  /** The function that does the work. */
  run: Task<Input, Output>
}

/** What {@linkcode defineTask} takes with a schema, which may make something else of the payload than it takes. */
export interface SchemaTaskDefinition<Input extends object, Parsed extends object, Output = unknown>
  extends JobDefaults,
    RunOptions<Input> {
  /** In CamelCase with a capital first letter, as the file. */
  name: string
  /**
   * Checks the payload when a job is scheduled, as the JSON that will be stored, and again before it runs: a Standard
   * Schema of zod, valibot, arktype or any other library. What it makes of the payload, `run` is called with.
   */
  schema: StandardSchema<Input, Parsed>
  /** The function that does the work. */
  run: Task<Parsed, Output>
}

/** Options of a task that `schedule` and the worker read. */
export interface TaskOptions extends JobDefaults, RunOptions {
  /** Checks the payload. */
  readonly schema?: StandardSchema
}

/**
 * Names a task by hand and attaches options to it, with a schema for its payload. The name survives a minifier, which a
 * plain function's does not.
 *
 * @returns a function named `name` that checks what it is called with, and calls `run` with what the schema makes of it
 * @throws {TypeError} if the name is not in CamelCase, `run` is not a function, `schema` is no Standard Schema or there
 * is no such option
 * @throws {RangeError} if an option is out of range
 * @throws {BackgroundError} `INVALID_PAYLOAD` when the task is called with what the schema refuses
 * @example
 * ```ts
 * import { defineTask } from 'kretes'
 * import { z } from 'zod'
 *
 * export default defineTask({
 *   name: 'SendEmail',
 *   schema: z.object({ to: z.email(), at: z.coerce.date<string>() }),
 *   run: async ({ to, at }) => console.log(`Hello, ${to}, at ${at.toISOString()}`)
 * })
 * ```
 */
export function defineTask<Input extends object, Parsed extends object, Output = unknown>(
  definition: SchemaTaskDefinition<Input, Parsed, Output>
): DefinedTask<Input, Output>
/**
 * Names a task by hand and attaches options to it, without a schema.
 *
 * @returns a function like `run`, named `name`
 * @throws {TypeError} if the name is not in CamelCase, `run` is not a function or there is no such option
 * @throws {RangeError} if an option is out of range
 * @example
 * ```ts
 * import { defineTask, Queue } from 'kretes'
 *
 * export default defineTask({
 *   name: 'SendEmail',
 *   queue: Queue.for('email'),
 *   maxAttempts: 5,
 *   run: async (input: { to: string }) => console.log(`Hello, ${input.to}`)
 * })
 * ```
 */
export function defineTask<Input extends object = AnyPayload, Output = unknown>(
  definition: TaskDefinition<Input, Output>
): DefinedTask<Input, Output>
export function defineTask(definition: TaskDefinition & TaskOptions): DefinedTask {
  const { name, run, ...options } = definition ?? {}
  if (typeof run !== 'function') throw new TypeError(`Cannot define ${String(name)}: run is not a function`)
  if (!isTaskName(name)) throw new TypeError(`Cannot define a task: ${notATaskName(name)}`)
  refuseUnknown(definition, DEFINITION, `define ${name}`)
  const { schema } = options
  if (schema !== undefined && !isStandardSchema(schema)) {
    throw new TypeError(`Cannot define ${name}: schema does not implement Standard Schema`)
  }
  checkDefaults(options, `define ${name}`)
  checkRunOptions(options, `define ${name}`)
  const task: DefinedTask = schema
    ? async (input, context) => run((await validatePayload(schema, input, `run ${name}`)) as AnyPayload, context)
    : async (input, context) => await run(input, context)
  Object.defineProperty(task, 'name', { value: name, configurable: true })
  Object.defineProperty(task, OPTIONS, { value: Object.freeze(options) })
  return task
}

/** What a definition may hold. */
export const DEFINITION: Names<SchemaTaskDefinition<object, object>> = {
  name: true,
  run: true,
  schema: true,
  queue: true,
  priority: true,
  maxAttempts: true,
  backoff: true,
  timeout: true,
  onFailure: true
}

function checkRunOptions({ backoff, timeout, onFailure }: RunOptions, doing: string): void {
  if (backoff !== undefined) compileBackoff(backoff, doing)
  if (timeout !== undefined) {
    const ms = toTimeLimit(timeout, doing, 'timeout')
    if (ms < 1) throw new RangeError(`Cannot ${doing}: timeout is ${ms} ms, less than one`)
  }
  if (onFailure !== undefined && typeof onFailure !== 'function') {
    throw new TypeError(`Cannot ${doing}: onFailure is not a function`)
  }
}

/** The options attached by {@linkcode defineTask}, or none. */
export function optionsOf(task: unknown): TaskOptions {
  return (typeof task === 'function' && (task as { [OPTIONS]?: TaskOptions })[OPTIONS]) || {}
}

/** The name that {@linkcode defineTask} has given a function, which no minifier changes; or none. */
export function definedNameOf(task: unknown): string | undefined {
  return typeof task === 'function' && OPTIONS in task ? task.name : undefined
}

/**
 * The name under which a caller means a task: the name itself, or the function's.
 *
 * @throws {TypeError} if it is neither, or a function whose name looks like a minifier's work
 */
export function nameOfTask(task: unknown, doing: string): string {
  if (typeof task === 'string') return task
  if (typeof task !== 'function')
    throw new TypeError(`Cannot ${doing}: task is ${describe(task)}, neither a task nor a name`)
  const { name } = task
  if (isTaskName(name) && (name.length >= SHORTEST_OWN_NAME || definedNameOf(task) !== undefined)) return name
  const reason = isTaskName(name)
    ? `the name of its function, ${name}, looks like a minifier's work`
    : notATaskName(name)
  throw new TypeError(`Cannot ${doing}: ${reason}. ${NAMING_REMEDY}`)
}

/** What makes a task's name survive a minifier. */
export const NAMING_REMEDY = 'Name the task by hand, with defineTask({ name, run }), or pass its name as a string'

/** Whether a name follows the convention that guards against files and functions that are no tasks. */
export function isTaskName(name: string): boolean {
  return typeof name === 'string' && TASK_NAME.test(name) && name.length <= MAX_NAME_LENGTH
}

/** Why a name is none for a task; for an error's second half. */
export function notATaskName(name: string): string {
  if (typeof name !== 'string') return `its name is ${name === null ? 'null' : `of type ${typeof name}`}, not a string`
  if (name === '') return 'its name is empty'
  if (name.length > MAX_NAME_LENGTH) return `its name has ${name.length} characters, more than ${MAX_NAME_LENGTH}`
  return `its name ${JSON.stringify(name)} is not in CamelCase with a capital first letter`
}

/** Minifiers give names of one letter or two to the first few thousand functions of a bundle. */
const SHORTEST_OWN_NAME = 3

/** The engine refuses longer ones: `tasks.identifier` is checked to be at most this long. */
const MAX_NAME_LENGTH = 128

const TASK_NAME = /^\p{Lu}[\p{L}\p{N}]*$/u

/** Registered, so that two copies of this module in one process (a bundle's and a loader's) read each other's options. */
const OPTIONS: unique symbol = Symbol.for('kretes.task.options') as never
