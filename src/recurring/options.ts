import { type Names, refuseUnknown } from '../check/options.ts'
import { checkText } from '../check/text.ts'
import { refuseQueue } from '../cron/declaration.ts'
import { RECURRENCE, type Recurrence, readRecurrence } from '../cron/recurrence.ts'
import type { Registry } from '../enqueue/registry.ts'
import { type AnyOptions, type JobSettings, type Registered, toPayload, toRequest } from '../enqueue/request.ts'
import type { JobDefaults } from '../job.ts'
import type { PayloadOption } from '../schedule.ts'
import type { EntryDefinition } from '../sql/recurring/row.ts'
import type { Access } from '../sql/statement.ts'
import type { AnyPayload, Task } from '../task.ts'

/** Options of {@linkcode RecurringJobs.set}. `cron` or `every` is required. */
export type RecurringOptions<Input extends object = AnyPayload> = {
  /** The task, or its name if you cannot import it. */
  task: Task<Input> | string
} & Recurrence &
  JobDefaults &
  PayloadOption<Input>

/** The names of the {@linkcode RecurringOptions}, for checks. */
export const RECURRING_OPTIONS: Names<RecurringOptions> = {
  task: true,
  payload: true,
  queue: true,
  priority: true,
  maxAttempts: true,
  ...RECURRENCE
}

/**
 * Reads a recurring job from options. As for `schedule`, the options of the call win over those of the task, and these
 * over the defaults.
 *
 * @throws what `schedule` throws about its options
 */
export function readDefinition(
  name: string,
  options: RecurringOptions,
  settings: JobSettings
): (registered: Registered | undefined) => Promise<EntryDefinition> {
  const doing = `set the recurring job ${JSON.stringify(name)}`
  checkName(name)
  refuseUnknown(options, RECURRING_OPTIONS, doing)
  const recurring = readRecurrence(options, doing)
  const { task, payload, queue, priority, maxAttempts } = options
  const given = { task, payload, queue, priority, maxAttempts } as AnyOptions
  const toJob = (registered?: Registered) => toRequest(given, settings.defaults, RECURRING_OPTIONS, registered)
  // Wrong options fail before anything is asked of the database.
  const request = toJob()
  if (request.isLimited) refuseQueue(recurring.overlap, doing)
  const encoding = toPayload(given, settings, request.task)
  return async registered => {
    const {
      task,
      queue: given,
      slots = null,
      isLimited,
      priority,
      maxAttempts,
      version
    } = registered ? toJob(registered) : request
    if (registered?.isLimited) refuseQueue(recurring.overlap, doing)
    if (slots !== null && recurring.overlap === 'queue') {
      throw new TypeError(
        `Cannot ${doing}: its queue has a concurrency, so overlap cannot be "queue". Give a queue without one, or no queue`
      )
    }
    // Workers put the jobs into their lanes.
    const queue = isLimited ? null : given
    return { name, task, queue, slots, priority, maxAttempts, version, payload: await encoding, ...recurring }
  }
}

/** Reads the options that workers have registered for a task that is given by its name. */
export async function registeredFor(
  task: RecurringOptions['task'],
  registry: Registry,
  access: Access
): Promise<Registered | undefined> {
  if (registry.isUnread(task)) await registry.learn(task, access)
  return registry.defaultsOf(task)
}

/** Checks the name of a recurring job. */
export function checkName(name: unknown): asserts name is string {
  const doing = 'name a recurring job'
  checkText(name, doing, 'its name')
  if (name === '') throw new RangeError(`Cannot ${doing}: its name is empty`)
  if ([...name].length > MOST_LETTERS) {
    throw new RangeError(`Cannot ${doing}: its name has ${[...name].length} characters, more than ${MOST_LETTERS}`)
  }
}

/** A queue may have the name after a prefix, and the engine refuses names of queues over 128 characters. */
const MOST_LETTERS = 100
