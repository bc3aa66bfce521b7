import type { Duration } from './duration.ts'
import type { Queue } from './queue.ts'
import type { AnyTask } from './task.ts'

/**
 * What a job that is not done is doing:
 *
 * - `waiting`: its time has come, and it runs as soon as a worker and its queue are free.
 * - `scheduled`: it waits for its time.
 * - `running`: a worker runs it.
 * - `retrying`: an attempt has failed, and it waits out its backoff.
 * - `failed`: it has failed for good and stays until somebody retries or deletes it.
 */
export type JobState = 'waiting' | 'scheduled' | 'running' | 'retrying' | 'failed'

/**
 * What a run has come to:
 *
 * - `succeeded`: the task ended well.
 * - `failed`: it threw.
 * - `timed out`: it took longer than it may.
 * - `cancelled`: somebody cancelled the job meanwhile.
 * - `snoozed`: the task put itself off.
 * - `released`: its worker stopped before it ended, and gave it to another.
 * - `lost`: its worker was lost.
 */
export type RunState = 'succeeded' | 'failed' | 'timed out' | 'cancelled' | 'snoozed' | 'released' | 'lost'

/** A job that is not done. */
export interface ListedJob {
  /** The database's identity of the job, a `bigint` as text. */
  readonly id: string
  /** The name of its task. */
  readonly task: string
  /** The queue whose jobs run one after another, or `null`. */
  readonly queue: string | null
  /** The key that identifies it among waiting jobs, or `null`. */
  readonly key: string | null
  /** What it is doing. */
  readonly state: JobState
  /** What its task is called with. */
  readonly payload: unknown
  /** Lower runs first. */
  readonly priority: number
  /** How many attempts have begun. */
  readonly attempts: number
  /** After this many failed attempts it stays failed. */
  readonly maxAttempts: number
  /** When it was scheduled. */
  readonly scheduledAt: Date
  /** Not before this time. */
  readonly runAt: Date
  /** When a worker took it, or `null`. */
  readonly fetchedAt: Date | null
  /** The worker that has it, or `null`. */
  readonly worker: string | null
  /** What its last failed attempt threw, or `null`. */
  readonly error: string | null
  /** How far it has come, from 0 to 1, or `null`: it does not run, or does not say. */
  readonly progress: number | null
  /** What it says of that, or `null`. */
  readonly progressMessage: string | null
  /** When anything of it changed. */
  readonly updatedAt: Date
}

/** An attempt at a job that has ended. */
export interface Run {
  /** The job's id. */
  readonly job: string
  /** The name of its task. */
  readonly task: string
  /** Its queue, or `null`. */
  readonly queue: string | null
  /** Its key, or `null`. */
  readonly key: string | null
  /** What it has come to. */
  readonly state: RunState
  /** Which attempt it was, from 1; 0 for a job that was cancelled before any. */
  readonly attempt: number
  /** After how many failed attempts the job stays failed. */
  readonly maxAttempts: number
  /** The job's priority. */
  readonly priority: number
  /** When the job was scheduled. */
  readonly scheduledAt: Date
  /** From when on it could run. */
  readonly runAt: Date
  /** When it began, or `null` if it never did. */
  readonly startedAt: Date | null
  /** When it ended. */
  readonly finishedAt: Date
  /** How many milliseconds it waited from when it could run, or `null` if it never began. */
  readonly waitedMs: number | null
  /** How many milliseconds it ran, or `null` if it never began. */
  readonly tookMs: number | null
  /** The worker that ran it, or `null`. */
  readonly worker: string | null
  /** What went wrong, or `null`. */
  readonly error: RunError | null
  /** What the task returned, or `null`: nothing, or it is not kept. */
  readonly result: unknown
  /** What the task was called with, or `null` if that is not kept. */
  readonly payload: unknown
  /** What the task wrote to its logger, or `null` if that is nothing. */
  readonly log: unknown
  /** The trace it belongs to, or `null`. */
  readonly traceId: string | null
  /** Whether the job was over with it: after a run that failed, whether it had failed for good. */
  readonly isOver: boolean
  /** Why the task's result is not kept, or `null`. */
  readonly resultProblem: string | null
}

/** What a run threw. */
export interface RunError {
  /** As in `TypeError`. */
  readonly name?: string
  /** What went wrong. */
  readonly message?: string
  /** Where. */
  readonly stack?: string
  /** What lies behind it. */
  readonly cause?: unknown
}

/** Everything about one job. Of one that is gone, what its last run tells. */
export interface JobDetails extends Omit<ListedJob, 'state'> {
  /** When this was read, by the database's clock. */
  readonly at: Date
  /**
   * What it is doing; of a job that is gone, how it ended: `gone` if the run with which it ended is not kept, or it was
   * deleted before its end.
   */
  readonly state: JobState | RunState | 'gone'
  /** Whether it is gone: done, cancelled or deleted. */
  readonly isGone: boolean
  /** What the run under way has logged so far, or `null`: nothing, or there is none. */
  readonly log: unknown
  /** Its runs that the ledger still keeps, the latest first, at most the latest 100. */
  readonly runs: readonly Run[]
}

/** Which jobs are meant; all conditions have to hold. */
export interface JobFilter {
  /**
   * One state, or any of several.
   *
   * @default all
   */
  state?: JobState | readonly JobState[]
  /**
   * The task, or its name.
   *
   * @default all
   */
  task?: AnyTask | string
  /**
   * The queue, or its name.
   *
   * @default all, and jobs of none
   */
  queue?: Queue | string
  /**
   * Its id, or a part of its key, its task's name, its last error or its payload's JSON, in upper or lower case.
   *
   * @default anything
   */
  search?: string
}

/** Which runs are meant; all conditions have to hold. */
export interface RunFilter {
  /** The job, or its id. */
  job?: string | { readonly id: string }
  /**
   * The task, or its name.
   *
   * @default all
   */
  task?: AnyTask | string
  /**
   * The queue, or its name.
   *
   * @default all, and jobs of none
   */
  queue?: Queue | string
  /**
   * One state, or any of several.
   *
   * @default all
   */
  state?: RunState | readonly RunState[]
  /**
   * Only runs that ended at this time or later; a duration counts back from now, by the database's clock.
   *
   * @default as long as they are kept
   */
  since?: Date | Duration
  /**
   * Its job's id, or a part of its key or of its error's message, in upper or lower case. A page looks through the
   * newest 10,000 runs that the other conditions leave; its cursor goes on from there.
   *
   * @default anything
   */
  search?: string
}

/** Which page of a list. */
export interface PageOptions {
  /**
   * How many at most: a whole number from 1 to 1,000.
   *
   * @default 50
   */
  limit?: number
  /**
   * The `cursor` of the page before.
   *
   * @default the first page
   */
  cursor?: string | undefined
}

/** A page of jobs. */
export interface JobsPage {
  /** When this was read, by the database's clock. */
  readonly at: Date
  /** The jobs, those scheduled last first. */
  readonly jobs: readonly ListedJob[]
  /** For the next page; absent if this is the last one. */
  readonly cursor?: string | undefined
}

/** A page of runs. */
export interface RunsPage {
  /** When this was read, by the database's clock. */
  readonly at: Date
  /** The runs, those that ended last first. */
  readonly runs: readonly Run[]
  /** For the next page; absent if this is the last one. */
  readonly cursor?: string | undefined
}
