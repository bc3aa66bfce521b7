import type pg from 'pg'
import type { Logger } from '../logger.ts'
import type { Execute } from '../sql/statement.ts'
import type { PreparedStatement } from '../sql/worker/complete.ts'
import type { FailStatement } from './failures.ts'
import type { Outage } from './outage.ts'
import type { Settled } from './settled.ts'
import type { Watch } from './watch.ts'

/** What the pool of the engine takes. */
export interface EnginePoolOptions {
  /** The connection string; `undefined` leaves it to `PG*`. */
  readonly url: string | undefined
  readonly max: number
  readonly prepare: boolean
  readonly logger: Logger
  readonly outage: Outage
  readonly watch: Watch
  /** Called when a connection was found to hang. */
  onHung(): void
  /** The statement that fetches jobs in place of the engine's; without, the engine's own does. */
  claim?(worker: string, size: number, without: readonly number[]): Statement
  /** The statement that completes jobs in place of the engine's, made anew each time; without, the engine's own does. */
  complete?(statement: Settled): PreparedStatement
  /** What frees jobs and queues that have been locked for hours, in place of the engine's statement. */
  readonly unlock?: Statement
  /** Carries out a statement that fails jobs, and what goes with it, in a transaction. */
  fail(statement: FailStatement, execute: Execute): Promise<void>
  /** Called after each statement that the database has carried out. */
  onSettled(statement: Settled): void
  /** Repeats what writes the end of jobs, some or all, until it is done, or the signal aborts; without, it is done once. */
  insist?(
    jobs: readonly string[],
    write: (jobs: readonly string[]) => Promise<pg.QueryResult>,
    signal: AbortSignal
  ): Promise<pg.QueryResult>
  /** Awaited before each fetch; the signal aborts when none is wanted any more. */
  beforeFetch(draining: AbortSignal): Promise<void>
  /** Called when a fetch failed, and the database may have locked jobs for it. */
  onFetchLost(): void
}

/** A statement as pg takes it. */
export interface Statement {
  readonly text: string
  readonly values?: readonly unknown[]
  readonly name?: string
}
