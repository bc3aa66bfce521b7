import type { Names } from '../check/options.ts'
import { BackgroundError } from '../errors.ts'
import { Queue } from '../queue.ts'
import type { Choice, QueueChoice } from '../sql/flow/choice.ts'
import { type AnyTask, nameOfTask, optionsOf } from '../task.ts'
import { describe } from '../text/describe.ts'
import { didYouMean, nearMatches } from '../text/suggest.ts'

/** Options of a worker that runs only a part of all jobs. Others must run the rest: jobs wait until a worker takes them. */
export interface ChoiceOptions {
  /**
   * The only tasks to run, as functions or by name. The worker loads all tasks, so their recurring jobs stay.
   *
   * @default all tasks
   */
  only?: readonly (AnyTask | string)[]
  /**
   * The tasks not to run, as functions or by name. Not together with `only`.
   *
   * @default none
   */
  except?: readonly (AnyTask | string)[]
  /**
   * The queues whose jobs to run. A list means jobs of these queues and no others. `{ except: […] }` means all jobs but
   * those of these queues. `false` means only jobs without a queue.
   *
   * @default all queues, and jobs without a queue
   */
  queues?: false | readonly (Queue | string)[] | { readonly except: readonly (Queue | string)[] }
}

/** The names of the {@linkcode ChoiceOptions}. */
export const CHOICE_OPTIONS: Names<ChoiceOptions> = { only: true, except: true, queues: true }

/**
 * Chooses the tasks that a worker runs.
 *
 * @throws {TypeError} if an option has the wrong type, or both `only` and `except` are given
 * @throws {RangeError} if a list is empty, or a queue's name is empty or too long
 * @throws {BackgroundError} `TASKS` if there is no task of a name, or no task is left
 */
export function chooseTasks(
  all: ReadonlyMap<string, AnyTask>,
  { only, except }: ChoiceOptions
): ReadonlyMap<string, AnyTask> {
  if (only !== undefined && except !== undefined) {
    throw new TypeError(`Cannot ${DOING}: both only and except are given. Give one of them`)
  }
  const given = only ?? except
  if (given === undefined) return all
  const option = only ? 'only' : 'except'
  const names = readList(given, option).map(task => nameOfTask(task, `read ${option}`))
  for (const name of names) if (!all.has(name)) throw unknownTask(name, option, [...all.keys()])
  const chosen = new Map([...all].filter(([name]) => names.includes(name) === (only !== undefined)))
  if (chosen.size > 0) return chosen
  throw new BackgroundError('TASKS', `Cannot ${DOING}: except leaves out all of its tasks`)
}

/** Reads which queues a worker takes, by the same rules. */
export function readQueues({ queues }: ChoiceOptions): QueueChoice {
  if (queues === undefined) return { kind: 'except', names: [] }
  if (queues === false) return { kind: 'none', names: [] }
  if (Array.isArray(queues)) return { kind: 'only', names: readList(queues, 'queues').map(toQueueName) }
  if (typeof queues !== 'object' || queues === null || !('except' in queues)) {
    throw new TypeError(`Cannot ${DOING}: queues is ${describe(queues)}, neither a list, { except: […] } nor false`)
  }
  return { kind: 'except', names: readList(queues.except, 'queues.except').map(toQueueName) }
}

/** The choice of a worker with these tasks. */
export function toChoice(tasks: ReadonlyMap<string, AnyTask>, queues: QueueChoice): Choice {
  const versions: Record<string, number> = {}
  for (const [name, task] of tasks) {
    const { version } = optionsOf(task)
    if (version !== undefined) versions[name] = version
  }
  const limited = [...tasks].flatMap(([name, task]) => (optionsOf(task).limit ? [name] : []))
  return { tasks: [...tasks.keys()], versions, queues, limited }
}

function readList<Item>(given: readonly Item[], option: string): readonly Item[] {
  if (!Array.isArray(given)) throw new TypeError(`Cannot ${DOING}: ${option} is ${describe(given)}, not a list`)
  if (given.length === 0) throw new RangeError(`Cannot ${DOING}: ${option} is an empty list`)
  return given
}

function toQueueName(queue: Queue | string): string {
  return Queue.for(typeof queue === 'object' && queue !== null ? queue.name : queue).name
}

function unknownTask(name: string, option: string, known: readonly string[]): BackgroundError {
  const near = didYouMean(nearMatches(name, known)) || `, only ${known.join(', ')}`
  return new BackgroundError('TASKS', `Cannot ${DOING}: ${option} has ${name}, and there is no such task${near}`)
}

const DOING = 'start a worker'
