import { isTransientFailure } from '../../database/failure.ts'
import type { Logger } from '../../logger.ts'
import { peerTimings } from '../../rules/timings.ts'
import type { Connections } from '../../sql/statement.ts'
import { type Rescue, rescueJobs } from '../../sql/worker/rescue.ts'

/** The options of {@linkcode createRescuer}. */
export interface RescueOptions {
  readonly connections: Connections
  readonly schema: string
  /** How many workers may be lost with a job before it fails for good. */
  readonly maxLosses: number
  readonly logger: Logger
}

/** Gives the jobs of dead workers to other workers. */
export interface Rescuer {
  /** Rescues the jobs of a worker that seems to be dead. Never rejects: a failure says nothing about this worker. */
  rescue(dead: string): Promise<void>
}

/** Creates a rescuer. It logs each rescue, and each problem once. */
export function createRescuer({ connections, schema, maxLosses, logger }: RescueOptions): Rescuer {
  const problems = new Map<string, string>()
  return {
    async rescue(dead) {
      try {
        const rescue = await rescueJobs(connections, schema, dead, {
          ...peerTimings,
          maxLosses
        })
        problems.delete(dead)
        if (rescue) report(dead, rescue, maxLosses, logger)
      } catch (error) {
        const problem = `Cannot rescue the jobs of a lost worker, trying again: ${error}`
        const level = isTransientFailure(error) || problems.get(dead) === problem ? 'debug' : 'error'
        logger[level](problem, { event: 'worker.rescue-failed', worker: dead, error })
        problems.set(dead, problem)
      }
    }
  }
}

function report(dead: string, { rescued, failed }: Rescue, maxLosses: number, logger: Logger): void {
  const fields = { event: 'worker.lost', worker: dead, rescued, failed }
  logger.warn(`A worker was lost; ${rescued} of its jobs will run again`, fields)
  if (failed.length > 0) logger.error(`Jobs failed after ${maxLosses} lost workers: ${failed.join(', ')}`, fields)
}
