import type { Choice } from '../flow/choice.ts'
import { type Statement, textArray } from '../statement.ts'
import type { Scan } from './claim/queues.ts'
import { toClaimText } from './claim/text.ts'

/** A row of {@linkcode claimJobs}, with the types of node-postgres. */
export interface ClaimedJob {
  readonly id: string
  readonly job_queue_id: number | null
  readonly queue_name: string | null
  /** The name of the job's task in the database now. The ids of tasks may have changed since the worker started. */
  readonly task_name: string
  readonly payload: unknown
  readonly priority: number
  /** A number if the time is infinite. */
  readonly run_at: Date | number
  readonly attempts: number
  readonly max_attempts: number
  readonly key: string | null
  readonly created_at: Date
  readonly locked_at: Date
  readonly flags: Readonly<Record<string, unknown>> | null
  readonly last_error: string | null
  /** The same for all rows, and mostly `null`: the driver reads each column of each row. */
  readonly rest: ClaimRest | null
}

/** What a claim has found besides jobs. */
export interface ClaimRest {
  /** Whether the claim left jobs out because their payloads are too large to take together. */
  readonly isCut: boolean
  /** Whether there may be jobs behind the backlogs of queues from which the worker takes none. */
  readonly isCovered: boolean
  /** Whether one of the queues `also` has due jobs that only other workers take. */
  readonly leavesJobs: boolean
  /** Whether there are due jobs in lanes. */
  readonly hasLanes: boolean
  /** Whether there are due jobs of the worker's tasks with limits that are not in a lane yet. */
  readonly hasUnfiled: boolean
  /**
   * The ids of stuck queues, if the claim has found no jobs. A queue is stuck if a transaction has locked its first job, or
   * if the queue is locked although no worker has a job of the queue. Such queues may hide jobs, and the next claim skips
   * them.
   */
  readonly stuck: readonly number[]
}

/** The parameters of {@linkcode claimJobs}. */
export interface ClaimRequest {
  readonly worker: string
  /** The jobs that the worker may take. */
  readonly choice: Choice
  /** The maximum number of jobs without a queue, and of queues. */
  readonly size: number
  /** The maximum number of jobs from all queues together. Each queue gives one at least. */
  readonly queued?: number
  /** Where to look for queues with jobs. */
  readonly scans?: Scan
  /** The ids of queues to look at in any case. */
  readonly also?: readonly number[]
  /** The ids of queues to skip. */
  readonly without?: readonly number[]
  /** The maximum number of jobs from a queue, by the id of the queue. Other queues have no maximum of their own. */
  readonly most?: ReadonlyMap<number, number>
}

/**
 * Locks jobs for a worker in the same order as the engine. It differs from the engine in four points:
 *
 * - It takes several jobs of a queue together. The worker runs them one after another, in the order of the rows.
 * - Many queue names cost no more than few. The engine locks all free queues before it looks for jobs. This statement
 *   locks a queue only when it finds a job of the queue.
 * - It identifies tasks and queues by their names. After a `restart identity`, an id may belong to another task or
 *   queue.
 * - It limits the total size of the payloads, so that they fit into the worker's memory.
 *
 * {@linkcode jobsOf} reads the rows.
 */
export function claimJobs(schema: string, request: ClaimRequest): Statement {
  const { worker, choice, size, queued = size, scans = 'first', also = [], without = [], most = NO_MAXIMUM } = request
  const { tasks, versions, queues, limited } = choice
  const name = `kretes_claim_${queues.kind}${size}_${queued}_${scans}`
  const key = `${name} ${schema}`
  const text = texts.get(key) ?? toClaimText(schema, { size, queued, scans, queues: queues.kind })
  texts.set(key, text)
  const values = [
    worker,
    textArray(tasks),
    textArray(without),
    textArray([...most.keys()]),
    textArray([...most.values()]),
    textArray(also),
    textArray(queues.names),
    JSON.stringify(versions),
    textArray(limited)
  ]
  return { name, text, values }
}

/** Reads the rows of a claim. Without jobs, there is one row without an id. */
export function jobsOf<Row>(rows: readonly Row[]): { readonly jobs: readonly Row[]; readonly rest: ClaimRest } {
  const [first] = rows as unknown as { id: string | null; rest: ClaimRest | null }[]
  return { jobs: first?.id === null ? [] : rows, rest: first?.rest ?? NOTHING }
}

const NOTHING: ClaimRest = {
  isCut: false,
  isCovered: false,
  leavesJobs: false,
  hasLanes: false,
  hasUnfiled: false,
  stuck: []
}

const texts = new Map<string, string>()
const NO_MAXIMUM: ReadonlyMap<number, number> = new Map()
