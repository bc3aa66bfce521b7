import type { Logger as EngineLogger } from 'graphile-worker'
import { isTransientFailure } from '../../database/failure.ts'
import type { LogFields, Logger } from '../../logger.ts'

/**
 * Passes on what the engine logs. It is of use to those who look for a fault, so it is logged as `debug`, except errors:
 * they are warnings, unless our own log tells of them: a failed job, and a database that is away.
 */
export function createEngineLogger(Engine: typeof EngineLogger, logger: Logger): EngineLogger {
  return new Engine(({ workerId }) => (level, message, meta) => {
    const fields = toFields(workerId, meta)
    const isNews = !meta.failure && !isTransientFailure(fields.error)
    if (level === 'error' && isNews) logger.warn(message, fields)
    else logger.debug(message, fields)
  })
}

/** The engine hands over whole jobs with their payloads, which do not belong in a log: only their ids are passed on. */
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

/** What comes with a line of the engine's, as far as it is passed on. */
interface EngineMeta {
  readonly error?: unknown
  readonly fatalError?: unknown
  readonly reason?: unknown
  readonly failure?: unknown
  readonly job?: Mentioned
  readonly jobs?: readonly Mentioned[]
  readonly cancelledJobs?: readonly Mentioned[]
  readonly specs?: readonly Mentioned[]
}

/** A job, or what is to be done with one. */
interface Mentioned {
  readonly id?: string
  readonly job?: { readonly id: string }
}
