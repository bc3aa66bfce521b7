import { checkText } from './check/text.ts'
import { LANE } from './rules/lanes.ts'

/**
 * A queue. Its jobs run one after another: in order of priority, then of run time, then of scheduling. Jobs without a queue
 * run in parallel.
 */
export interface Queue {
  /** The name that all jobs of the queue share. */
  readonly name: string
}

/** The engine refuses longer names. */
const MAX_NAME_LENGTH = 128

/**
 * Creates queues.
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
   * Returns the queue of a name. Equal names are the same queue, in every process.
   *
   * @param name 1 to 128 characters
   * @throws {TypeError} if the name is not a string
   * @throws {RangeError} if it is empty or too long, or holds a character that PostgreSQL cannot hold
   * @example
   * ```ts
   * import { Queue } from 'kretes'
   *
   * const queue = Queue.for('email')
   * ```
   */
  for(name: string): Queue
  /**
   * Returns a queue with a unique name, for several jobs that must not overlap. Do not use it for a single job: that costs
   * the database a row and each worker a lock. Leave `queue` out instead.
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
  checkText(name, 'name a queue', 'the name')
  if (name === '') throw new RangeError('Cannot name a queue: the name is empty')
  if (name.startsWith(LANE))
    throw new RangeError(`Cannot name a queue: names that begin with "${LANE}" belong to kretes`)
  if (name.length > MAX_NAME_LENGTH)
    throw new RangeError(`Cannot name a queue: the name has ${name.length} characters, more than ${MAX_NAME_LENGTH}`)
  return name
}
