/**
 * A queue, whose jobs run one after another: in order of priority, then of run time, then of scheduling.
 * Jobs without a queue run in parallel.
 */
export interface Queue {
  /** The name that all jobs of the queue share. */
  readonly name: string
}

/** PostgreSQL refuses longer names: the engine's `job_queues.queue_name` is checked to be at most this long. */
const MAX_NAME_LENGTH = 128

/**
 * Names the queues that jobs can be scheduled on.
 *
 * @example Emails go out one at a time
 * ```ts
 * import { Background, Queue } from 'kretes'
 *
 * await Background.schedule({ task: 'SendEmail', queue: Queue.for('email') })
 * ```
 */
export const Queue: {
  /**
   * The queue of that name. Equal names are the same queue, in every process.
   *
   * @param name 1 to 128 characters
   * @throws {TypeError} if the name is not a string
   * @throws {RangeError} if it is empty or too long
   * @example
   * ```ts
   * import { Queue } from 'kretes'
   *
   * const queue = Queue.for('email')
   * ```
   */
  for(name: string): Queue
  /**
   * A queue with a name that nobody else has. A job alone in its queue runs as in parallel, but costs the database a
   * row and each worker a lock: leave `queue` out instead, unless you mean to put several jobs on it.
   *
   * @example Two steps that must not overlap
   * ```ts
   * import { Background, Queue } from 'kretes'
   *
   * const queue = Queue.random()
   * await Background.schedule({ task: 'SendEmail', payload: { name: 'first' }, queue })
   * await Background.schedule({ task: 'SendEmail', payload: { name: 'second' }, queue })
   * ```
   */
  random(): Queue
} = {
  for: name => Object.freeze({ name: validName(name) }),
  random: () => Object.freeze({ name: crypto.randomUUID() })
}

function validName(name: string): string {
  if (typeof name !== 'string')
    throw new TypeError(
      `Cannot name a queue: the name is ${name === null ? 'null' : `of type ${typeof name}`}, not a string`
    )
  if (name === '') throw new RangeError('Cannot name a queue: the name is empty')
  if (name.length > MAX_NAME_LENGTH)
    throw new RangeError(`Cannot name a queue: the name has ${name.length} characters, more than ${MAX_NAME_LENGTH}`)
  return name
}
