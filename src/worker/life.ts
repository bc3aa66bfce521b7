import type { Lasting } from '../database/lasting.ts'
import type { AnyTask } from '../task.ts'
import type { Fit } from './encoding.ts'
import type { EndedRuns } from './ended.ts'
import type { Executor } from './execute.ts'
import type { EngineStatus } from './health.ts'
import type { ResolvedOptions } from './options.ts'
import type { Outage } from './outage.ts'

/** What an engine is started with. */
export interface EngineOptions {
  readonly options: ResolvedOptions
  readonly url: string | undefined
  readonly tasks: ReadonlyMap<string, AnyTask>
  readonly executor: Executor
  /** How runs ended; without, nothing is recorded. */
  readonly ended: EndedRuns | undefined
  /** Makes text fit the database. */
  readonly fit: Fit
  /** For the worker's own statements, so that they never wait behind the engine's. */
  readonly control: Lasting
  /** Called before each fetch: it is connected, and known to its peers. */
  onReady(): void
  readonly outage: Outage
  /** Gives up a start that waits for the database. */
  readonly signal: AbortSignal
}

/** One life of the engine, with connections and locks of its own. */
export interface Engine {
  readonly status: EngineStatus
  /** Resolves when it has ended; with the reason if nobody asked it to. */
  readonly ended: Promise<EngineEnd | undefined>
  /** Resolves once it holds no job and none is due. */
  whenIdle(): Promise<void>
  /** Stops fetching, gives back what was prefetched and resolves when the running jobs have ended. */
  stop(): Promise<void>
  /** Looks after the database once: one that runs once seldom lives until the first round. Before its release. */
  lookAround(): Promise<void>
  /**
   * Lets go of what it still holds, for other workers to run, and closes the connections. Returns how many jobs it could
   * not let go of while the database did not answer; may be asked again. If it is not, a peer will see to them, as it
   * would if this worker had died.
   */
  release(): Promise<number>
}

/** Why an engine ended unasked. */
export interface EngineEnd {
  readonly reason: Error
  /** Whether its running jobs are others' now. */
  readonly isDeclaredDead: boolean
}
