import type { Logger as EngineLogger } from 'graphile-worker'
import { isTransientFailure } from '../../database/failure.ts'
import type { LogFields, Logger } from '../../logger.ts'

/**
 * Forwards the log of the engine. Lines have the level `debug`, since they only help to find a fault. Errors are
 * warnings, unless the worker logs them itself: failed jobs, and an unavailable database. When a worker stops during a fetch, the
 * engine complains that the fetch ends after its queue. The worker releases all its jobs in any case.
 */
export function createEngineLogger(Engine: typeof EngineLogger, logger: Logger): EngineLogger {
  return new Engine(({ workerId }) => (level, message, meta) => {
    // To the engine every run succeeds.
    if (meta.success) return
    const fields = toFields(workerId, meta)
    const isNews = !meta.failure && !isTransientFailure(fields.error) && !LATE_FETCH.test(message)
    if (level === 'error' && isNews) logger.warn(message, fields)
    else logger.debug(message, fields)
  })
}

/** What the engine says of a fetch that ends after its queue. */
const LATE_FETCH = /queue is already released|whilst deactivating queue/

/** The engine logs whole jobs. Their payloads do not belong in a log, so only the ids of the jobs are forwarded. */
function toFields(workerId: string | undefined, meta: EngineMeta): LogFields {
  const error = meta.error ?? meta.fatalError ?? meta.reason
  const mentioned = [meta.job, meta.jobs, meta.cancelledJobs, meta.specs].flat()
  const jobs = mentioned.flatMap(one => one?.job?.id ?? one?.id ?? [])
  return {
    event: 'engine',
    ...(error !== undefined && { error }),
    ...(jobs.length > 0 && { jobs }),
    ...(workerId !== undefined && { workerId })
  }
}

/** The fields of an engine's log line that are forwarded. */
interface EngineMeta {
  readonly error?: unknown
  readonly fatalError?: unknown
  readonly reason?: unknown
  readonly failure?: unknown
  readonly success?: unknown
  readonly job?: Mentioned
  readonly jobs?: readonly Mentioned[]
  readonly cancelledJobs?: readonly Mentioned[]
  readonly specs?: readonly Mentioned[]
}

/** A job, or a request that concerns one. */
interface Mentioned {
  readonly id?: string
  readonly job?: { readonly id: string }
}
