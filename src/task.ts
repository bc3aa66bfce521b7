import { type Backoff, compileBackoff } from './backoff.ts'
import { checkDefaults } from './check/defaults.ts'
import { type Names, refuseUnknown } from './check/options.ts'
import { checkDeclarations, TASK_RECURRENCE, type TaskRecurrence } from './cron/declaration.ts'
import { type Duration, toTimeLimit } from './duration.ts'
import type { Job, JobDefaults } from './job.ts'
import { checkLimits, type TaskLimits } from './limit/limit.ts'
import { checkVersion, type TaskVersion } from './limit/version.ts'
import type { LogFields, Logger } from './logger.ts'
import { isStandardSchema, type StandardSchema, validatePayload } from './schema.ts'
import { describe } from './text/describe.ts'
import { isTaskName, notATaskName } from './text/task-name.ts'

/** The payload of a task that declares none. */
// biome-ignore lint/suspicious/noExplicitAny: a task that declares no input may read any property of it
export type AnyPayload = Record<string, any>

/** The second argument of a task: the current run. */
export interface TaskContext {
  /** The job. */
  readonly job: Job
  /** The number of the attempt, from 1. */
  readonly attempt: number
  /** The occurrence of the recurring job that has scheduled the job, or `null`. */
  readonly occurrence: Date | null
  /**
   * Aborts at the end of the task's `timeout` (with a `TimeoutError`), when the job is cancelled (with an `AbortError`),
   * and at the end of the worker's `shutdownTimeout`.
   */
  readonly signal: AbortSignal
  /** Logs lines with the task's name and the job's id. The newest lines are kept with the run. */
  readonly logger: Logger
  /** The same as `logger.info`. */
  readonly log: (message: string, fields?: LogFields) => void
  /**
   * Reports the progress of the run, which is visible within a second. Call it as often as you like: it writes at most
   * twice a second. A value other than a number from 0 to 1 is ignored, with a warning in the log.
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
   * @param message describes the current step; without it, the last message stays
   */
  readonly progress: (fraction: number, message?: string) => void
}

/**
 * A function that runs in the background, in a file of its own under `tasks/`. The file's name is the task's name:
 * `tasks/SendEmail.ts` has the function `SendEmail` as its default export. `schedule` goes by the function's name, so use
 * the same name for both. A name given to {@linkcode defineTask} survives renamed files and minifiers.
 *
 * @typeParam Input the payload, which `Background.schedule` then requires
 * @typeParam Output the return value
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

/** A task of {@linkcode defineTask}. It always returns a promise. */
export type DefinedTask<Input extends object = AnyPayload, Output = unknown> = (
  input: Input,
  context: TaskContext
) => Promise<Output>

/** A task with any payload. */
// biome-ignore lint/suspicious/noExplicitAny: with any other type a task of a narrower input would not fit
export type AnyTask = Task<any>

/** Options of a task for the worker. */
export interface RunOptions<Input extends object = AnyPayload> {
  /**
   * The delay after a failed attempt. It wins over the worker's `backoff`.
   *
   * @default the worker's: by default `'exponential'`
   */
  backoff?: Backoff
  /**
   * The longest attempt: milliseconds, `'5m'`, `{ minutes: 5 }`. Then the attempt fails, and its `signal` aborts with a
   * `TimeoutError`. If the task has not ended a second later, the worker stops waiting for it, ignores its result, and
   * logs that.
   *
   * @default none
   */
  timeout?: Duration
  /**
   * Called when a job has failed for good, after its last attempt or a {@linkcode PermanentError}. Its errors are logged
   * and change nothing. It may take as long as an attempt: the task's `timeout`, or a minute if there is none. Then its
   * `signal` aborts, and a second later the worker continues without it. If the worker dies, it may be called twice for
   * one job. It is not called for a job that has taken its workers down, because it might take down the next one. The
   * log shows such a job as `worker.lost`.
   *
   * @default none
   */
  onFailure?: (error: unknown, context: TaskContext, input: Input) => unknown
}

/** Options of {@linkcode defineTask}. `queue`, `priority` and `maxAttempts` are defaults for calls that set none. */
export interface TaskDefinition<Input extends object = AnyPayload, Output = unknown>
  extends JobDefaults,
    RunOptions<Input>,
    TaskVersion,
    TaskLimits<Input>,
    TaskRecurrence<Input> {
  /** The name, in CamelCase with a capital first letter, like the file's. */
  name: string
  /** The function that does the work. */
  run: Task<Input, Output>
}

/** Options of {@linkcode defineTask} with a schema. The schema may transform the payload. */
export interface SchemaTaskDefinition<Input extends object, Parsed extends object, Output = unknown>
  extends JobDefaults,
    RunOptions<Input>,
    TaskVersion,
    TaskLimits<Input>,
    TaskRecurrence<Input> {
  /** The name, in CamelCase with a capital first letter, like the file's. */
  name: string
  /**
   * A Standard Schema of zod, valibot, arktype or any other library. It checks the payload's JSON when a job is scheduled,
   * and again before the job runs. `run` gets its output.
   */
  schema: StandardSchema<Input, Parsed>
  /** The function that does the work. */
  run: Task<Parsed, Output>
}

/** The options of a task that `schedule` and the worker read. */
export interface TaskOptions
  extends JobDefaults,
    RunOptions,
    TaskVersion,
    TaskLimits<never>,
    TaskRecurrence<AnyPayload> {
  /** Checks the payload. */
  readonly schema?: StandardSchema
}

/**
 * Defines a task with a name, options and a schema for its payload. Unlike a plain function's name, this name survives
 * minifiers.
 *
 * @returns a function named `name` that checks its payload and calls `run` with the schema's output
 * @throws {TypeError} if the name is not in CamelCase, `run` is not a function, `schema` is no Standard Schema or there
 * is no such option
 * @throws {RangeError} if an option is out of range
 * @throws {BackgroundError} `INVALID_PAYLOAD` when the task is called with a payload that the schema refuses
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
 * Defines a task with a name and options, without a schema.
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
  checkVersion(options, `define ${name}`)
  checkLimits(name, options)
  checkDeclarations(name, options, options.limit !== undefined)
  const task: DefinedTask = schema
    ? async (input, context) => run((await validatePayload(schema, input, `run ${name}`)) as AnyPayload, context)
    : async (input, context) => await run(input, context)
  Object.defineProperty(task, 'name', { value: name, configurable: true })
  Object.defineProperty(task, OPTIONS, { value: Object.freeze(options) })
  return task
}

/** The names of the {@linkcode SchemaTaskDefinition}, for checks. */
export const DEFINITION: Names<SchemaTaskDefinition<object, object>> = {
  name: true,
  run: true,
  schema: true,
  queue: true,
  priority: true,
  maxAttempts: true,
  backoff: true,
  timeout: true,
  onFailure: true,
  version: true,
  limit: true,
  ...TASK_RECURRENCE
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

/** The options that {@linkcode defineTask} has attached, or none. */
export function optionsOf(task: unknown): TaskOptions {
  return (typeof task === 'function' && (task as { [OPTIONS]?: TaskOptions })[OPTIONS]) || {}
}

/** The name that {@linkcode defineTask} has given a function, or none. */
export function definedNameOf(task: unknown): string | undefined {
  return typeof task === 'function' && OPTIONS in task ? task.name : undefined
}

/**
 * Reads the name of a task that is given by its name or as a function.
 *
 * @throws {TypeError} if it is neither, or the function's name looks like a minifier's
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

/** How to give a task a name that survives minifiers. */
export const NAMING_REMEDY = 'Name the task by hand, with defineTask({ name, run }), or pass its name as a string'

/** Minifiers give the first few thousand functions of a bundle names of one or two letters. */
const SHORTEST_OWN_NAME = 3

/** A registered symbol, so that two copies of this module in one process read each other's options. */
const OPTIONS: unique symbol = Symbol.for('kretes.task.options') as never
