import type { EngineStatus } from './health.ts'

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
