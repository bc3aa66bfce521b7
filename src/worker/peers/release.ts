import { codeOf, isTransientFailure } from '../../database/failure.ts'
import type { Logger } from '../../logger.ts'
import { workerTimings } from '../../rules/timings.ts'
import type { Kept } from '../../sql/ledger/record.ts'
import {
  type Connections,
  type Execute,
  limitLocksStatement,
  returnToSavepointStatement,
  savepointStatement
} from '../../sql/statement.ts'
import type { Ending } from '../../sql/worker/ending.ts'
import { type LockedJob, releaseWorker } from '../../sql/worker/release.ts'
import { settleJobs } from '../../sql/worker/settle.ts'
import type { Claims } from '../claiming/claims.ts'
import type { Claim } from '../execution/claim.ts'
import type { Endings } from '../execution/ending.ts'

/** The options of {@linkcode releaseClaims}. */
export interface ReleaseOptions {
  readonly connections: Connections
  readonly schema: string
  readonly kept: Kept | undefined
  readonly claims: Claims
  readonly endings: Endings
  readonly logger: Logger
}

/**
 * Releases all jobs that a worker holds, so that other workers run them. The same transaction writes the endings that
 * are not written yet. So no ended job runs again, and unfinished runs are recorded.
 */
export async function releaseClaims(worker: string, options: ReleaseOptions): Promise<void> {
  const { connections, schema, claims, endings } = options
  await releaseWorker(connections, schema, worker, async (execute, jobs) => {
    const unwritten = jobs.flatMap(job => {
      const claim = claims.of(job.id)
      const ending = claim && isUnder(claim, job) ? endingOf(claim, endings) : undefined
      // The database may accept a record now that it refused on the engine's connections.
      return ending ? { ...ending, isRecorded: true } : []
    })
    await write(execute, worker, unwritten, options)
    return unwritten.map(({ id }) => id)
  })
}

/** Whether a claim and a lock are the same. The engine's driver rounds the time of a lock to milliseconds. */
function isUnder({ lockedAtMs }: Claim, job: LockedJob): boolean {
  return Math.abs(lockedAtMs - job.lockedAtMs) < 2
}

function endingOf(claim: Claim, endings: Endings): Ending | undefined {
  return claim.ending ?? (claim.run && endings.ofBrokenOff(claim, claim.run))
}

/**
 * Writes endings. If the ledger is not writable, the endings are written without a record: a missing record is better
 * than a job that runs twice.
 */
async function write(
  execute: Execute,
  worker: string,
  endings: readonly Ending[],
  { schema, kept, logger }: ReleaseOptions
): Promise<void> {
  const writeAll = async (kept?: Kept): Promise<void> => {
    for (const statement of settleJobs(schema, kept, worker, endings)) await execute(statement)
  }
  if (endings.length === 0) return
  if (!kept) return await writeAll()
  await execute(savepointStatement)
  try {
    // Do not wait for a statement that changes the ledger's tables. After a timeout a peer would run the jobs again.
    await execute(limitLocksStatement(workerTimings.releaseLockMs))
    await writeAll(kept)
    await execute(limitLocksStatement(0))
  } catch (error) {
    if (isTransientFailure(error) && codeOf(error) !== LOCK_NOT_AVAILABLE) throw error
    await execute(returnToSavepointStatement)
    const count = endings.length
    logger.error(`Cannot record ${count === 1 ? '1 run' : `${count} runs`} of a worker that stops: ${error}`, {
      event: 'ledger.failed',
      runs: count,
      error
    })
    await writeAll()
  }
}

const LOCK_NOT_AVAILABLE = '55P03'
