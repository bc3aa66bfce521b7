import type { Job } from '../../job.ts'
import { isMarkedCancelled } from '../../sql/jobs/cancel.ts'
import { occurrenceOf } from '../../sql/names.ts'
import { clampDate } from '../../sql/times.ts'
import type { ClaimedJob } from '../../sql/worker/claim.ts'
import type { Ending } from '../../sql/worker/ending.ts'
import { lossesOf } from '../../sql/worker/rescue.ts'
import type { ActiveRun } from './active-run.ts'

/** A job that this worker has locked, from the fetch until the database has confirmed how the job ended. */
export interface Claim {
  readonly job: Job
  readonly payload: unknown
  /** When the job was locked, in milliseconds since 1970. It distinguishes claims of the same job. */
  readonly lockedAtMs: number
  /** The id of the job's named queue. */
  readonly queueId: number | null
  readonly hasFailedBefore: boolean
  /** How many workers were lost while they held the job. */
  readonly losses: number
  /** Whether the job was cancelled before it began. */
  isCancelled: boolean
  /**
   * The jobs of the same queue that the worker holds and that have not begun, in order. The claims of a lane that the
   * engine knows share the list.
   */
  followers: Claim[]
  /** Identifies the fetch, if the job has a queue. */
  fetch: object | undefined
  /** The lane of a job with limits. */
  lane: Lane | undefined
  /** The jobs that the database counts as begun together with this one, if its lane has a rate. */
  counted: Counted | undefined
  /** When it was asked for, by `performance.now()`; only for jobs of lanes. */
  claimedMs: number
  /** Called when the task begins. If it throws, the task does not. */
  onBegin: (() => void) | undefined
  /** Whether the worker goes on with a follower, so that the queue stays locked when this run is over. */
  keepsQueue: boolean
  /** Set while the task or its `onFailure` runs. */
  run: ActiveRun | undefined
  /** Set once the end of the run is decided. */
  ending: Ending | undefined
}

/** A lane whose jobs a worker holds. */
export interface Lane {
  readonly id: number
  /** The name of the task of its jobs, empty for those of a queue; and their key, empty without keys. */
  readonly task: string
  readonly key: string
  /** How many of its jobs the worker may run at the same time, by the database. */
  slots: number
  /** How many of the slots are in use: of each, the engine has a job. */
  used: number
  /** Those that have not begun, in order, except the first ones, which the engine knows. */
  readonly waiting: Claim[]
}

/** Jobs of a lane that the database counts as begun, until it hears when they have. */
export interface Counted {
  /** The number of the row that counts them. */
  readonly number: number
  /** How many of them have neither begun nor were given back. */
  open: number
  /** None of them may begin after this time, by `performance.now()`. */
  readonly beginByMs: number
  /** When jobs have begun. */
  readonly startsMs: number[]
}

/** Creates the claim of a fetched job. */
export function toClaim(row: ClaimedJob): Claim {
  const { schedule, occurrence } = occurrenceOf(row.flags)
  return {
    job: {
      id: row.id,
      task: row.task_name,
      queue: row.queue_name,
      priority: row.priority,
      runAt: clampDate(Number(row.run_at)),
      attempts: row.attempts,
      maxAttempts: row.max_attempts,
      key: row.key,
      scheduledAt: row.created_at,
      schedule,
      occurrence
    },
    payload: row.payload,
    lockedAtMs: row.locked_at.getTime(),
    queueId: row.job_queue_id,
    hasFailedBefore: row.last_error !== null,
    losses: lossesOf(row.flags),
    isCancelled: isMarkedCancelled(row.flags),
    followers: NONE,
    fetch: undefined,
    lane: undefined,
    counted: undefined,
    claimedMs: Number.NEGATIVE_INFINITY,
    onBegin: undefined,
    keepsQueue: false,
    run: undefined,
    ending: undefined
  }
}

/** Shared, since most jobs have no followers. */
const NONE: Claim[] = []

/** Interrupts the run of a claim, or prevents its start. */
export function cancel(claim: Claim): void {
  if (claim.run) claim.run.interrupt({ kind: 'cancel', reason: new DOMException('Cancelled', 'AbortError') })
  else claim.isCancelled = true
}
