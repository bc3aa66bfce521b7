import { isTransientFailure } from '../../database/failure.ts'
import type { Logger } from '../../logger.ts'
import type { Connections } from '../../sql/statement.ts'
import { type Rescue, rescueJobs, STALE_AFTER_MS } from '../../sql/worker/workers.ts'

/** The options of {@linkcode createRescuer}. */
export interface RescueOptions {
  readonly control: Connections
  readonly schema: string
  /** After how many lost workers a job is given up. */
  readonly maxLosses: number
  readonly logger: Logger
}

/** Gives the jobs of dead workers to others. */
export interface Rescuer {
  /** Rescues the jobs of a worker that seems to be dead. Never throws: its failure says nothing of this worker. */
  rescue(dead: string): Promise<void>
}

/** Makes a rescuer, which logs what it does, and each trouble once. */
export function createRescuer({ control, schema, maxLosses, logger }: RescueOptions): Rescuer {
  const told = new Map<string, string>()
  return {
    async rescue(dead) {
      try {
        const rescue = await rescueJobs(control, schema, dead, { staleAfterMs: STALE_AFTER_MS, maxLosses })
        told.delete(dead)
        if (rescue) report(dead, rescue, maxLosses, logger)
      } catch (error) {
        const problem = `Cannot give the jobs of a lost worker to others, and tries again until it can: ${error}`
        const level = isTransientFailure(error) || told.get(dead) === problem ? 'debug' : 'error'
        logger[level](problem, { event: 'worker.rescue-failed', worker: dead, error })
        told.set(dead, problem)
      }
    }
  }
}

function report(dead: string, { rescued, failed }: Rescue, maxLosses: number, logger: Logger): void {
  const fields = { event: 'worker.lost', worker: dead, rescued, failed }
  logger.warn(`A worker was lost; ${rescued} of its jobs will run again`, fields)
  if (failed.length > 0) logger.error(`Gave up jobs that took ${maxLosses} workers down: ${failed.join(', ')}`, fields)
}
