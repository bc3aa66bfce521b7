import { type Names, refuseUnknown } from '../check/options.ts'
import { checkText } from '../check/text.ts'
import { BackgroundError } from '../errors.ts'
import { isPerKey, toKey } from '../limit/lane.ts'
import type { Limit, LimitKey } from '../limit/limit.ts'
import { Queue } from '../queue.ts'
import { lacksKeys, listPauses, type PauseRow, pause, resume, type Target } from '../sql/flow/pauses.ts'
import type { Access } from '../sql/statement.ts'
import { toDate } from '../sql/times.ts'
import { type AnyTask, nameOfTask, optionsOf } from '../task.ts'
import { describe } from '../text/describe.ts'

/** What to pause or resume: exactly one of `task`, `queue`, `limit` and `all`. */
export interface PauseTarget {
  /** A task, or its name: its jobs wait. */
  task?: AnyTask | string
  /** A queue, or its name: its jobs wait. */
  queue?: Queue | string
  /** A limit that tasks share, or its name: the jobs of all its tasks wait. */
  limit?: Pick<Limit, 'name'> | string
  /**
   * Only with `task` or `limit`, and only if the limit has `per`: only the jobs of this key wait. As for limits, a number and its
   * text are the same key.
   *
   * @default the jobs of all keys
   */
  key?: LimitKey
  /** Everything: all jobs wait. */
  all?: true
}

/** Options of {@linkcode Pausing.pause}. */
export interface PauseOptions extends PauseTarget {
  /**
   * Why, for those who wonder later.
   *
   * @default none
   */
  reason?: string
  /**
   * Who pauses.
   *
   * @default the user of the database
   */
  by?: string
}

/** A pause: no worker takes the jobs that it holds back. */
export interface Pause {
  /** What is paused. */
  readonly kind: 'all' | 'task' | 'queue' | 'limit'
  /** The name of the task, the queue or the limit; `null` if everything is paused. */
  readonly name: string | null
  /** The key whose jobs alone wait, or `null`. A long key is shortened, as in the view `kretes.jobs`. */
  readonly key: string | null
  /** Since when, by the database's clock. */
  readonly since: Date
  /** Who paused it. */
  readonly by: string
  /** Why, or `null`. */
  readonly reason: string | null
  /**
   * Whether there has ever been such a queue, a worker or a job of such a task, or a worker with such a limit. If not, the name
   * may be misspelt.
   */
  readonly isKnown: boolean
}

/** Pauses and resumes tasks, queues, limits, their keys, and everything. */
export interface Pausing {
  /**
   * Pauses a task, a queue, a limit, one key or everything, until `resume`. After a second at most, no worker begins any of the
   * paused jobs. Running jobs finish. New jobs can be scheduled and wait. If it is paused already, only the reason and the person change.
   *
   * @throws {TypeError} if not exactly one target is given, or an option has the wrong type
   * @throws {RangeError} if a queue's name is empty or too long
   * @throws {BackgroundError} `NO_LIMIT` if a `key` is given and the task or the limit has no keys; `NO_DATABASE` if there is no
   * database, `MIGRATION` if its schema is missing or out of date
   * @example
   * ```ts
   * import { Background } from 'kretes'
   *
   * await Background.pause({ queue: 'email', reason: 'The mail server is down' })
   * await Background.resume({ queue: 'email' })
   * await Background.pause({ task: 'SyncOrders', key: 'shop-7', reason: 'The shop moves to another server' })
   * ```
   */
  pause(options: PauseOptions): Promise<Pause>
  /**
   * Ends a pause: workers take its jobs at once. Each pause is ended on its own: a task that was paused by itself stays paused
   * when you resume everything.
   *
   * @returns the pause, or `undefined` if there was none
   * @throws {TypeError} if not exactly one target is given
   * @throws {RangeError} if a queue's name is empty or too long
   * @throws {BackgroundError} as for `pause`
   * @example
   * ```ts
   * import { Background } from 'kretes'
   *
   * const pause = await Background.resume({ task: 'SendEmail' })
   * console.log(pause ? `It was paused since ${pause.since.toISOString()}` : 'It was not paused')
   * ```
   */
  resume(target: PauseTarget): Promise<Pause | undefined>
  /**
   * Lists the pauses, the oldest first. The view `kretes.pauses` shows the same.
   *
   * @throws {BackgroundError} as for `pause`
   * @example
   * ```ts
   * import { Background } from 'kretes'
   *
   * for (const { kind, name, key, since, by } of await Background.pauses()) console.log(kind, name, key, since, by)
   * ```
   */
  pauses(): Promise<readonly Pause[]>
}

/** The names of the {@linkcode PauseTarget}, for checks. */
export const PAUSE_TARGET: Names<PauseTarget> = { task: true, queue: true, limit: true, key: true, all: true }

/** The names of the {@linkcode PauseOptions}, for checks. */
export const PAUSE_OPTIONS: Names<PauseOptions> = { ...PAUSE_TARGET, reason: true, by: true }

/**
 * Creates the calls that pause and resume.
 *
 * @param use runs work in the database, and needs its schema to exist; `doing` describes the work in errors
 */
export function createPausing(
  use: <Result>(doing: string, work: (database: { readonly access: Access }) => Promise<Result>) => Promise<Result>
): Pausing {
  return {
    async pause(options) {
      refuseUnknown(options, PAUSE_OPTIONS, 'pause')
      const target = toTarget(options, 'pause')
      const { reason, by } = options
      if (reason !== undefined) checkText(reason, 'pause', 'reason')
      if (by !== undefined) checkText(by, 'pause', 'by')
      const given = { reason: reason ?? null, by: by ?? null }
      const row = await use(`pause ${nameOf(target)}`, async ({ access }) => {
        if (target.key !== null && !hasKeys(options) && (await lacksKeys(access, target))) {
          throw new BackgroundError('NO_LIMIT', `Cannot pause ${nameOf(target)}: the ${target.kind} has no keys`)
        }
        return await pause(access, target, given)
      })
      return toPause(row)
    },
    async resume(options) {
      refuseUnknown(options, PAUSE_TARGET, 'resume')
      const target = toTarget(options, 'resume')
      const row = await use(`resume ${nameOf(target)}`, ({ access }) => resume(access, target))
      return row && toPause(row)
    },
    pauses: async () => (await use('list pauses', ({ access }) => listPauses(access))).map(toPause)
  }
}

/** Names a target in messages. */
export function nameOf({ kind, name, key }: Named): string {
  if (kind === 'all') return 'everything'
  return key === null ? `the ${kind} ${name}` : `the key ${key} of the ${kind} ${name}`
}

/** The command that ends a pause. */
export function resumeCommand({ kind, name, key }: Named): string {
  if (kind === 'all') return 'kretes background resume --all'
  return `kretes background resume --${kind} ${toWord(name!)}${key === null ? '' : ` --key ${toWord(key)}`}`
}

/** Reads a row of the table. */
export function toPause({ kind, name, key, since, by, reason, isKnown }: PauseRow): Pause {
  return { kind, name: kind === 'all' ? null : name, key, since: toDate(since), by, reason, isKnown }
}

/** What is paused. */
type Named = Pick<Pause, 'kind' | 'name' | 'key'>

/** A word of a command, quoted if the shell would read it in another way. */
function toWord(text: string): string {
  return /^[\w.:@/][\w.:@/-]*$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`
}

function toTarget({ task, queue, limit, key: givenKey, all }: PauseTarget, doing: string): Target {
  const given = [task, queue, limit, all].filter(value => value !== undefined).length
  if (given !== 1) throw new TypeError(`Cannot ${doing}: give one of task, queue, limit and all, not ${given} of them`)
  if (givenKey !== undefined && task === undefined && limit === undefined) {
    throw new TypeError(`Cannot ${doing}: key is only for a task or a limit`)
  }
  const key = givenKey === undefined ? null : toKey(givenKey, doing, 'key is')
  if (task !== undefined) {
    const name = nameOfTask(task, doing)
    checkText(name, doing, 'task')
    return { kind: 'task', name, key }
  }
  if (limit !== undefined) {
    const name = typeof limit === 'object' && limit !== null ? limit.name : limit
    checkText(name, doing, 'limit')
    return { kind: 'limit', name, key }
  }
  if (all !== undefined) {
    if (all !== true) throw new TypeError(`Cannot ${doing}: all is ${describe(all)}, not true`)
    return { kind: 'all', name: '', key: null }
  }
  const { name } = Queue.for(typeof queue === 'object' && queue !== null ? queue.name : queue!)
  return { kind: 'queue', name, key: null }
}

/** Whether the code itself says that there are keys. It may be newer than that of all workers. */
function hasKeys({ task, limit }: PauseTarget): boolean {
  if (typeof limit === 'object') return 'per' in limit && limit.per !== undefined
  const { limit: own } = typeof task === 'function' ? optionsOf(task) : {}
  return own !== undefined && isPerKey(own)
}
