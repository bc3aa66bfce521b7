import { checkDefaults } from '../check/defaults.ts'
import { type Names, refuseUnknown } from '../check/options.ts'
import type { JobDefaults } from '../job.ts'
import { describe } from '../text/describe.ts'
import { RECURRENCE, type Recurrence, readRecurrence } from './recurrence.ts'

/** A recurring job that a task declares, with the options of its jobs. Give `cron` or `every`. */
export interface RecurringDeclaration<Input extends object> extends Recurrence, JobDefaults {
  /**
   * The payload of its jobs.
   *
   * @default {}
   */
  payload?: NoInfer<Input>
}

/**
 * The recurring jobs that a task declares. `cron` or `every`, with the options beside it, declares one that has the name
 * of the task. A worker that starts writes them to the database, and removes those that the code no longer declares.
 *
 * @example
 * ```ts
 * import { defineTask } from 'kretes'
 *
 * export default defineTask({
 *   name: 'SendReport',
 *   cron: '0 9 * * 1-5',
 *   timeZone: 'Europe/Berlin',
 *   run: async (_, { occurrence, logger }) => logger.info(`Sending the report of ${occurrence?.toISOString()}`)
 * })
 * ```
 */
export interface TaskRecurrence<Input extends object> extends Recurrence {
  /**
   * The payload of the jobs that recur by the `cron` or `every` beside it.
   *
   * @default {}
   */
  payload?: NoInfer<Input>
  /**
   * Several recurring jobs of this task, each with a name and options of its own: in the task `SendReport`,
   * `recurring: { eu: { cron: '0 9 * * *' } }` declares `SendReport:eu`.
   *
   * @default none
   */
  recurring?: Readonly<Record<string, RecurringDeclaration<Input>>>
}

/** The names of the {@linkcode TaskRecurrence}, for checks. */
export const TASK_RECURRENCE: Names<TaskRecurrence<object>> = { ...RECURRENCE, payload: true, recurring: true }

/** The options of {@linkcode defineTask} about recurring jobs, with any payload. */
type Declared = TaskRecurrence<Record<string, unknown>>

/** The recurring jobs that a task declares, by their full names. */
export function declarationsOf(task: string, options: Declared): [string, RecurringDeclaration<object>][] {
  const { recurring = {}, ...others } = options
  const own = Object.entries(others).filter(([key, value]) => key in SHORT && value !== undefined)
  return [
    ...(own.length > 0 ? [[task, Object.fromEntries(own)] as [string, RecurringDeclaration<object>]] : []),
    ...Object.entries(recurring).map(([name, options]): [string, RecurringDeclaration<object>] => [
      `${task}:${name}`,
      options
    ])
  ]
}

/**
 * Checks the recurring jobs that a task declares, but for their payloads.
 *
 * @throws {TypeError} if an option has the wrong type, or there is no such option
 * @throws {RangeError} if an option is out of range, or no occurrence ever comes
 */
export function checkDeclarations(task: string, options: Declared, hasLimit: boolean = false): void {
  const { recurring } = options
  if (recurring !== undefined && (typeof recurring !== 'object' || recurring === null || Array.isArray(recurring))) {
    throw new TypeError(`Cannot define ${task}: recurring is ${describe(recurring)}, not an object of names`)
  }
  for (const [name, declaration] of declarationsOf(task, options)) {
    const doing = `define ${name}`
    refuseUnknown(declaration, DECLARATION, doing)
    checkDefaults(declaration, doing)
    if (declaration.queue && hasLimit) {
      throw new TypeError(`Cannot ${doing}: ${task} has limits, so its jobs cannot have a queue`)
    }
    const { overlap } = readRecurrence(declaration, doing)
    if (hasLimit) refuseQueue(overlap, doing)
  }
}

/**
 * Refuses a recurring job that queues its occurrences, for a task with limits: the jobs of a queue do not have the limits of
 * their task.
 */
export function refuseQueue(overlap: string, doing: string): void {
  if (overlap !== 'queue') return
  throw new TypeError(
    `Cannot ${doing}: the task has limits, so overlap cannot be "queue". Give "allow", and a limit with the concurrency 1`
  )
}

const SHORT: Names<Omit<TaskRecurrence<object>, 'recurring'>> = { ...RECURRENCE, payload: true }

const DECLARATION: Names<RecurringDeclaration<object>> = {
  ...SHORT,
  queue: true,
  priority: true,
  maxAttempts: true
}
