import type postgres from 'postgres'
import type { RunState } from '../../src/rules/states.ts'
import { FAILURE_STATES } from '../../src/rules/states.ts'

/** A run as a test has it; what it leaves out does not matter to it. */
export interface RunRow {
  job: string | number
  task?: string
  queue?: string | null
  key?: string | null
  state?: RunState
  attempt?: number
  maxAttempts?: number
  priority?: number
  /** How long ago it ended. */
  agoMs?: number
  finishedAt?: Date | string
  waitedMs?: number
  tookMs?: number | null
  worker?: string | null
  error?: object | null
  result?: unknown
  payload?: unknown
  log?: unknown
  /** Whether the job was over with it; by default unless it was snoozed, released or lost. */
  isOver?: boolean | null
  resultProblem?: string
}

/** Writes runs into the ledger as a worker does. */
export async function insertRuns(sql: postgres.Sql, runs: readonly RunRow[]): Promise<void> {
  for (const run of runs) {
    const { job, task = 'Work', queue = null, key = null, state = 'succeeded', worker = 'a worker' } = run
    const { attempt = 1, maxAttempts = 25, priority = 0, agoMs = 0, waitedMs = 5, tookMs = 10 } = run
    const finishedAt = run.finishedAt ?? new Date(Date.now() - agoMs)
    const isOver = run.isOver === undefined ? !['snoozed', 'released', 'lost'].includes(state) : run.isOver
    const isFailure = FAILURE_STATES.some(failure => failure === state)
    await sql`
      with times as (select ${finishedAt}::text::timestamptz as finished_at, ${tookMs}::float8 * interval '1 ms' as took)
      insert into kretes.ledger (job_id, finished_at, started_at, ready_at, scheduled_at, attempt, max_attempts, priority,
        is_failure, state, task, queue, key, worker, error, result, payload, log, is_over, result_problem)
      select ${job}, finished_at, finished_at - took, finished_at - coalesce(took, '0') - ${waitedMs}::float8 * interval '1 ms',
        finished_at - interval '1 minute', ${attempt}, ${maxAttempts}, ${priority}, ${isFailure}, ${state}, ${task},
        ${queue}, ${key}, ${worker}, ${json(run.error)}::text::json, ${json(run.result)}::text::json,
        ${json(run.payload)}::text::json, ${json(run.log)}::text::json,
        ${isOver}, ${run.resultProblem ?? null}
      from times`
  }
}

function json(value: unknown): string | null {
  return value === undefined || value === null ? null : JSON.stringify(value)
}
