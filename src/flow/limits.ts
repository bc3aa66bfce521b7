import { type Names, refuseUnknown } from '../check/options.ts'
import { checkText } from '../check/text.ts'
import { checkWholeNumber } from '../check/values.ts'
import { BackgroundError } from '../errors.ts'
import type { Limit } from '../limit/limit.ts'
import { toRate } from '../limit/rate.ts'
import { Queue } from '../queue.ts'
import type { Rate } from '../rules/rates.ts'
import { type LimitSetting, type LimitStateRow, listLimits, setLimit } from '../sql/flow/limits.ts'
import type { Access } from '../sql/statement.ts'
import { toDate } from '../sql/times.ts'
import { type AnyTask, nameOfTask } from '../task.ts'
import { didYouMean, nearMatches } from '../text/suggest.ts'

/** Which limit: exactly one of `task`, `limit` and `queue`. */
export interface LimitTarget {
  /** A task with a limit of its own, or its name. */
  task?: AnyTask | string
  /** A limit that tasks share, or its name. */
  limit?: Pick<Limit, 'name'> | string
  /** A queue with a concurrency, or its name. */
  queue?: Queue | string
  /**
   * Whether the limit for each key is meant, or the one for all jobs, if the task has both.
   *
   * @default the one that there is
   */
  perKey?: boolean
}

/** What to set a limit to. */
export type LimitChange = LimitSettings &
  (Required<Pick<LimitSettings, 'concurrency'>> | Required<Pick<LimitSettings, 'rate'>>)

/** A limit, and what to set it to: its concurrency or its rate, or both. */
export interface LimitSettings extends LimitTarget {
  /**
   * How many jobs run at the same time from now on: from 1 to 1,000,000.
   *
   * @default no change
   */
  concurrency?: number
  /**
   * How many jobs begin within a period from now on, as in `'100/min'`. Queues have no rate.
   *
   * @default no change
   */
  rate?: Rate
}

/** A limit, and how much of it is in use. */
export interface LimitState {
  /** Whether the limit belongs to a task or a queue, or tasks share it. */
  readonly kind: 'task' | 'shared' | 'queue'
  /** The name of the task, the limit or the queue. */
  readonly name: string
  /** Whether each key has the limit for itself. */
  readonly perKey: boolean
  /** How many jobs run at the same time: for each key, if it has keys. `null` if it does not limit that. */
  readonly concurrency: number | null
  /** How many jobs begin within a period: for each key, if it has keys. `null` if it does not limit that. */
  readonly rate: Rate | null
  /** The `concurrency` that the code of the newest worker declares. */
  readonly declaredConcurrency: number | null
  /** The `rate` that the code of the newest worker declares. */
  readonly declaredRate: Rate | null
  /** When it was set to something else, or `null`. */
  readonly setAt: Date | null
  /** Until when a {@linkcode RateLimited} holds it, or `null`; the latest time of all keys. */
  readonly heldUntil: Date | null
  /** How many slots are in use, of all keys together. */
  readonly used: number
  /** How many keys use slots; 0 without keys. */
  readonly keys: number
  /** How many jobs have begun within the last period of the rate, of all keys together; `null` without a rate. */
  readonly begun: number | null
  /** How many due jobs with this limit wait, for a slot or for another reason. */
  readonly waiting: number
  /** For how long the oldest of these jobs has been due, in milliseconds; `null` if none waits. */
  readonly oldestMs: number | null
}

/** Lists and changes the limits of tasks and queues while workers run. */
export interface LimitControl {
  /**
   * Sets a limit. It holds for all workers at once, and over restarts and deployments, until `reset`. Jobs that run go on:
   * with a lower limit, no new ones begin until enough of them are over. Jobs that a worker has fetched may still begin for
   * half a second (its `localQueueTtl`). Workers hear of a new rate within a second.
   *
   * @throws {TypeError} if not exactly one of `task`, `limit` and `queue` is given, neither `concurrency` nor `rate`, a `rate`
   * for a queue, or an option has the wrong type
   * @throws {RangeError} if `concurrency` or `rate` is out of range
   * @throws {BackgroundError} `NO_LIMIT` if there is no such limit yet, or the task has two and `perKey` does not say which one;
   * `NO_DATABASE` if there is no database, `MIGRATION` if its schema is missing or out of date
   * @example
   * ```ts
   * import { Background } from 'kretes'
   *
   * await Background.limits.set({ limit: 'stripe', concurrency: 5, rate: '20/s' })
   * await Background.limits.set({ task: 'SendEmail', concurrency: 2 })
   * ```
   */
  set(change: LimitChange): Promise<LimitState>
  /**
   * Takes back what was set, and ends all holds: what the code declares holds again.
   *
   * @throws {TypeError} if not exactly one of `task`, `limit` and `queue` is given
   * @throws {BackgroundError} as for `set`
   * @example
   * ```ts
   * import { Background } from 'kretes'
   *
   * await Background.limits.reset({ limit: 'stripe' })
   * ```
   */
  reset(target: LimitTarget): Promise<LimitState>
  /**
   * Lists the limits of the queues with a concurrency that are in use, then those that tasks share, then those of tasks. Tasks
   * must be registered by a worker. The view `kretes.limits` shows the same.
   *
   * @throws {BackgroundError} as for `set`, but `NO_LIMIT`
   * @example
   * ```ts
   * import { Background } from 'kretes'
   *
   * for (const { name, used, concurrency, waiting } of await Background.limits.list()) console.log(name, used, concurrency, waiting)
   * ```
   */
  list(): Promise<readonly LimitState[]>
}

/** The names of the {@linkcode LimitTarget}, for checks. */
export const LIMIT_TARGET: Names<LimitTarget> = { task: true, limit: true, queue: true, perKey: true }

/** The names of the {@linkcode LimitChange}, for checks. */
export const LIMIT_CHANGE: Names<LimitChange> = { ...LIMIT_TARGET, concurrency: true, rate: true }

/**
 * Creates the calls that list and change limits.
 *
 * @param use runs work in the database, and needs its schema to exist; `doing` describes the work in errors
 */
export function createLimitControl(
  use: <Result>(doing: string, work: (database: { readonly access: Access }) => Promise<Result>) => Promise<Result>
): LimitControl {
  async function change(target: LimitTarget, setting: LimitSetting | null, doing: string): Promise<LimitState> {
    const { label, names } = toNames(target, doing)
    return await use(`${doing} of ${label}`, async ({ access }) => {
      const found = await setLimit(access, names, setting)
      const limits = await listLimits(access)
      const limit = found.length === 1 ? limits.find(one => nameIn(one) === found[0]) : undefined
      if (limit) return toLimitState(limit)
      throw new BackgroundError('NO_LIMIT', `Cannot ${doing} of ${label}: ${reasonFor(found, target, limits)}`)
    })
  }

  return {
    async set(options) {
      const doing = 'set the limit'
      refuseUnknown(options, LIMIT_CHANGE, doing)
      const { concurrency, rate } = options
      if (concurrency === undefined && rate === undefined) {
        throw new TypeError(`Cannot ${doing}: give concurrency or rate, or both`)
      }
      if (concurrency !== undefined) checkWholeNumber(concurrency, [1, 1_000_000], doing, 'concurrency')
      if (rate !== undefined && options.queue !== undefined) throw new TypeError(`Cannot ${doing}: a queue has no rate`)
      const parts = rate === undefined ? undefined : toRate(rate, doing, 'rate')
      return await change(options, { concurrency, rate: parts }, doing)
    },
    async reset(target) {
      const doing = 'reset the limit'
      refuseUnknown(target, LIMIT_TARGET, doing)
      return await change(target, null, doing)
    },
    list: async () => (await use('list limits', ({ access }) => listLimits(access))).map(toLimitState)
  }
}

function toNames(
  { task, limit, queue, perKey }: LimitTarget,
  doing: string
): { label: string; names: readonly string[] } {
  const given = [task, limit, queue].filter(value => value !== undefined).length
  if (given !== 1) throw new TypeError(`Cannot ${doing}: give one of task, limit and queue, not ${given} of them`)
  if (perKey !== undefined && typeof perKey !== 'boolean') {
    throw new TypeError(`Cannot ${doing}: perKey is neither true nor false`)
  }
  if (task !== undefined) {
    const name = nameOfTask(task, doing)
    checkText(name, doing, 'task')
    const kinds = perKey === undefined ? ['task', 'key'] : [perKey ? 'key' : 'task']
    return { label: `the task ${name}`, names: kinds.map(kind => `${kind} ${name}`) }
  }
  if (queue !== undefined) {
    const { name } = Queue.for(toName(queue))
    if (perKey !== undefined) throw new TypeError(`Cannot ${doing}: perKey is only for the limits of a task`)
    return { label: `the queue ${name}`, names: [`queue ${name}`] }
  }
  const name = toName(limit!)
  checkText(name, doing, 'limit')
  if (perKey !== undefined) throw new TypeError(`Cannot ${doing}: perKey is only for the limits of a task`)
  return { label: name, names: [`limit ${name}`] }
}

function reasonFor(found: readonly string[], target: LimitTarget, limits: readonly LimitStateRow[]): string {
  if (found.length > 1) return 'it has two, one for each key and one for all jobs. Say which one with perKey'
  const { task, limit, queue } = target
  const [kind, name]: [LimitState['kind'], string] =
    task !== undefined
      ? ['task', nameOfTask(task, '')]
      : queue !== undefined
        ? ['queue', toName(queue)]
        : ['shared', toName(limit!)]
  const known = [...new Set(limits.filter(one => one.kind === kind).map(one => one.name))]
  const suggestion = didYouMean(nearMatches(name, known))
  if (kind === 'queue') return `no worker has registered it, or run a job of it, with a concurrency${suggestion}`
  return limits.length === 0
    ? 'no worker has registered any limit yet'
    : `no worker has registered such a limit${suggestion}`
}

function toName(named: { readonly name: string } | string): string {
  return typeof named === 'object' && named !== null ? named.name : named
}

/** The name of a limit in the database. */
function nameIn({ kind, name, perKey }: LimitStateRow): string {
  return `${kind === 'shared' ? 'limit' : kind === 'queue' ? 'queue' : perKey ? 'key' : 'task'} ${name}`
}

/** Reads a row of the view. */
export function toLimitState({ setAt, heldUntil, ...rest }: LimitStateRow): LimitState {
  const read = (time: string | null): Date | null => (time === null ? null : toDate(time))
  return { ...rest, setAt: read(setAt), heldUntil: read(heldUntil) }
}
