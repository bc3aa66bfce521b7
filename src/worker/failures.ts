import { type EndedRun, recordFailures } from '../sql/ledger/record.ts'
import type { Execute } from '../sql/statement.ts'
import {
  applyOutcomes,
  type FailingJob,
  failForGood,
  lockFailing,
  type Outcome,
  removeCancelled
} from '../sql/worker/outcome.ts'
import { toErrorJson } from './describe.ts'
import type { EndedRuns } from './ended.ts'

/** The statement by which the engine writes that jobs have failed. */
export interface FailStatement {
  /** Under which it is prepared; none if that is turned off. */
  readonly name?: string
  readonly text: string
  readonly values: readonly (string | null)[]
}

/** One job of it, as its second parameter holds it in a JSON array; a test holds this against the real one. */
export interface Failing {
  readonly jobId: string
  readonly message?: string
}

/**
 * Writes that jobs have failed, and what is to become of them, in the transaction that `execute` runs in: the engine's
 * own statement unlocks them and their queues, and what it does not know follows.
 *
 * It may be done again after a transaction whose commit was not confirmed. Jobs that are not locked by the run that
 * failed any more are left out: they were written, or given to somebody else, or they are running anew.
 */
export async function writeFailures(
  execute: Execute,
  schema: string,
  statement: FailStatement,
  outcomes: ReadonlyMap<string, Outcome>,
  ended?: EndedRuns
): Promise<void> {
  const [worker, json] = statement.values
  const failing = JSON.parse(json ?? '[]') as Failing[]
  const decided = failing.flatMap(({ jobId }) => outcomes.get(jobId) ?? [])
  const locked = new Map(
    decided.length === 0 ? [] : (await lockFailing(execute, schema, worker ?? '', decided)).map(job => [job.id, job])
  )
  const written = failing.filter(({ jobId }) => locked.has(jobId) || !outcomes.has(jobId))
  if (written.length === 0) return
  if (ended) {
    const recorded = written.filter(({ jobId }) => !ended.isUnrecordable(jobId))
    const runs = recorded.map(one => ended.runs.get(one.jobId) ?? unknownRun(one))
    const withEnd = runs.map(run => {
      const { isFinal = false, isFree = false } = outcomes.get(run.id) ?? {}
      return { ...run, isOver: isFinal, isFree }
    })
    if (withEnd.length > 0) await recordFailures(execute, schema, ended.kept, worker ?? '', withEnd)
  }
  const messages = written.map(one => keepMessage(one, locked.get(one.jobId), outcomes.get(one.jobId)))
  await execute({ ...statement, values: [worker ?? null, JSON.stringify(messages)] })

  const cancelled = [...locked.values()].filter(job => job.cancelled === 'true').map(job => job.id)
  const left = decided.filter(({ id }) => locked.get(id)?.cancelled === 'false')
  const final = left.filter(({ isFinal }) => isFinal)
  const again = left.filter(({ isFinal }) => !isFinal)
  if (cancelled.length > 0) await removeCancelled(execute, schema, cancelled)
  if (final.length > 0) await failForGood(execute, schema, final)
  if (again.length > 0) await applyOutcomes(execute, schema, again)
}

/** The engine itself has failed the job. */
function unknownRun({ jobId, message = '' }: Failing): EndedRun {
  const error = toErrorJson(message)
  const rest = { attempt: null, durationMs: null, result: null, problem: null, payload: null, log: null }
  return { id: jobId, state: 'failed', endedMs: performance.now(), error, isAfterFailure: false, ...rest }
}

/** A run that does not count leaves the error of an earlier one. */
function keepMessage(failing: Failing, job: FailingJob | undefined, outcome: Outcome | undefined): Failing {
  if (!job || !outcome) return failing
  return { ...failing, message: outcome.isFree ? (job.error ?? undefined) : outcome.reason }
}
