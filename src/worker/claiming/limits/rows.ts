import type { LaneJob } from '../../../sql/flow/lanes.ts'
import type { ClaimedJob } from '../../../sql/worker/claim.ts'
import type { Outcome } from './turns.ts'

/** Reads the rows of a claim. */
export function readLanes(rows: readonly LaneJob[]): {
  readonly found: readonly (LaneJob & ClaimedJob)[]
  readonly lanes: ReadonlyMap<number, Got>
  /** Lanes that have left nothing, and in how many milliseconds their jobs may begin, if that is known. */
  readonly idle: ReadonlyMap<number, number | null>
} {
  const found: (LaneJob & ClaimedJob)[] = []
  const lanes = new Map<number, Got>()
  const idle = new Map<number, number | null>()
  for (const row of rows) {
    const id = row.job_queue_id!
    if (!isJob(row)) {
      idle.set(id, row.ready_ms)
      continue
    }
    found.push(row)
    const { slots, spare, is_longer: isLonger, ready_ms: readyMs, lane_key: key } = row
    const task = row.queue_name === null ? row.task_name : null
    if (!lanes.has(id)) lanes.set(id, { slots, spare, isLonger, readyMs, task, key })
  }
  return { found, lanes, idle }
}

function isJob(row: LaneJob): row is LaneJob & ClaimedJob {
  return row.id !== null
}

/** What a claim has got from a lane. */
interface Got extends Outcome {
  readonly slots: number
  /** The task and the key of a task's lane; `null` for the lane of a queue. */
  readonly task: string | null
  readonly key: string
}
