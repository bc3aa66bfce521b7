import { type Names, refuseUnknown } from '../check/options.ts'
import { checkText } from '../check/text.ts'
import { Queue } from '../queue.ts'
import { listPauses, type PauseRow, pause, resume, type Target } from '../sql/flow/pauses.ts'
import type { Access } from '../sql/statement.ts'
import { toDate } from '../sql/times.ts'
import { type AnyTask, nameOfTask } from '../task.ts'
import { describe } from '../text/describe.ts'

/** What to pause or resume: exactly one of these. */
export interface PauseTarget {
  /** A task, or its name: its jobs wait. */
  task?: AnyTask | string
  /** A queue, or its name: its jobs wait. */
  queue?: Queue | string
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
  readonly kind: 'all' | 'task' | 'queue'
  /** The name of the task or the queue; `null` if everything is paused. */
  readonly name: string | null
  /** Since when, by the database's clock. */
  readonly since: Date
  /** Who paused it. */
  readonly by: string
  /** Why, or `null`. */
  readonly reason: string | null
  /** Whether there has ever been such a queue, or a worker or a job of such a task. If not, the name may be misspelt. */
  readonly isKnown: boolean
}

/** Pauses and resumes tasks, queues and everything. */
export interface Pausing {
  /**
   * Pauses a task, a queue or everything, until `resume`. After a second at most, no worker begins any of its jobs. Running
   * jobs finish. New jobs can be scheduled and wait. If it is paused already, only the reason and the person change.
   *
   * @throws {TypeError} if not exactly one target is given, or an option has the wrong type
   * @throws {RangeError} if a queue's name is empty or too long
   * @throws {BackgroundError} `NO_DATABASE` if there is no database, `MIGRATION` if its schema is missing or out of date
   * @example
   * ```ts
   * import { Background } from 'kretes'
   *
   * await Background.pause({ queue: 'email', reason: 'The mail server is down' })
   * await Background.resume({ queue: 'email' })
   * ```
   */
  pause(options: PauseOptions): Promise<Pause>
  /**
   * Ends a pause: workers take its jobs at once. A task or a queue that was paused by itself stays paused when you resume
   * everything.
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
   * for (const { kind, name, since, by, reason } of await Background.pauses()) console.log(kind, name, since, by, reason)
   * ```
   */
  pauses(): Promise<readonly Pause[]>
}

/** The names of the {@linkcode PauseTarget}, for checks. */
export const PAUSE_TARGET: Names<PauseTarget> = { task: true, queue: true, all: true }

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
      return toPause(await use(`pause ${nameOf(target)}`, ({ access }) => pause(access, target, given)))
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
export function nameOf({ kind, name }: { readonly kind: Pause['kind']; readonly name: string | null }): string {
  return kind === 'all' ? 'everything' : `the ${kind} ${name}`
}

/** The command that ends a pause. */
export function resumeCommand({ kind, name }: { readonly kind: Pause['kind']; readonly name: string | null }): string {
  if (kind === 'all') return 'kretes background resume --all'
  const word = /^[\w.:@/-]+$/.test(name!) ? name! : `'${name!.replaceAll("'", "'\\''")}'`
  return `kretes background resume --${kind} ${word}`
}

/** Reads a row of the table. */
export function toPause({ kind, name, since, by, reason, isKnown }: PauseRow): Pause {
  return { kind, name: kind === 'all' ? null : name, since: toDate(since), by, reason, isKnown }
}

function toTarget({ task, queue, all }: PauseTarget, doing: string): Target {
  const given = [task, queue, all].filter(value => value !== undefined).length
  if (given !== 1) throw new TypeError(`Cannot ${doing}: give one of task, queue and all, not ${given} of them`)
  if (task !== undefined) {
    const name = nameOfTask(task, doing)
    checkText(name, doing, 'task')
    return { kind: 'task', name }
  }
  if (all !== undefined) {
    if (all !== true) throw new TypeError(`Cannot ${doing}: all is ${describe(all)}, not true`)
    return { kind: 'all', name: '' }
  }
  return { kind: 'queue', name: Queue.for(typeof queue === 'object' && queue !== null ? queue.name : queue!).name }
}
