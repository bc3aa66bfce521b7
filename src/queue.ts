import { type Names, refuseUnknown } from './check/options.ts'
import { checkText } from './check/text.ts'
import { checkWholeNumber } from './check/values.ts'
import { LANE, MOST_LETTERS } from './rules/lanes.ts'

/**
 * A queue. Its jobs run one after another, or as many at the same time as its `concurrency`: in order of priority, then of run
 * time, then of scheduling. Jobs without a queue run in parallel.
 */
export interface Queue {
  /** The name that all jobs of the queue share. */
  readonly name: string
  /** How many jobs of the queue run at the same time, on all workers together; `undefined` if they run one after another. */
  readonly concurrency?: number
}

/** The options of a queue. */
export interface QueueOptions {
  /**
   * How many jobs of the queue run at the same time, on all workers together: from 1 to 1,000,000. Jobs of the queue that were
   * scheduled without a `concurrency` run one after another beside them. Give all jobs of a queue the same `concurrency`.
   *
   * @default none: the jobs run one after another
   */
  concurrency?: number
}

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
   * @throws {TypeError} if the name is not a string, or there is no such option
   * @throws {RangeError} if the name is empty or too long, or holds a character that PostgreSQL cannot hold; or if `concurrency`
   * is out of range
   * @example
   * ```ts
   * import { Queue } from 'kretes'
   *
   * const queue = Queue.for('email')
   * const crm = Queue.for('crm', { concurrency: 3 })
   * ```
   */
  for(name: string, options?: QueueOptions): Queue
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
  for(name, options = {}) {
    const valid = validName(name)
    refuseUnknown(options, OPTIONS, `make the queue ${name}`)
    const { concurrency } = options
    if (concurrency === undefined) return Object.freeze({ name: valid })
    checkWholeNumber(concurrency, [1, 1_000_000], `make the queue ${name}`, 'concurrency')
    return Object.freeze({ name: valid, concurrency })
  },
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
  if (name.length > MOST_LETTERS)
    throw new RangeError(`Cannot name a queue: the name has ${name.length} characters, more than ${MOST_LETTERS}`)
  return name
}

const OPTIONS: Names<QueueOptions> = { concurrency: true }
