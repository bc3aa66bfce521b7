import { type Coalesced, coalesce } from '../async/coalesce.ts'
import { refuseNewerEngine } from '../database/migrate.ts'
import { BackgroundError } from '../errors.ts'
import type { Logger } from '../logger.ts'
import { workerTimings } from '../rules/timings.ts'
import type { Execute } from '../sql/statement.ts'

/** The options of {@linkcode createSchemaWatch}. */
export interface SchemaWatchOptions {
  readonly execute: Execute
  readonly schema: string
  /** Called when a newer version has migrated the engine's schema so far that this version's engine must end. */
  onNewer(error: BackgroundError): void
  readonly logger: Logger
}

/** Reads the schema's version when asked. Only that version ends the engine; a notification is a hint to read it. */
export function createSchemaWatch({ execute, schema, onNewer, logger }: SchemaWatchOptions): Coalesced {
  let isNewer = false
  const watch = coalesce(async () => {
    try {
      if (!isNewer) await refuseNewerEngine(execute, schema)
    } catch (error) {
      isNewer = error instanceof BackgroundError && error.code === 'DATABASE_NEWER'
      if (isNewer) return onNewer(error as BackgroundError)
      logger.debug(`Cannot read the version of the schema: ${error}`, { error })
      watch.ask()
    }
  }, workerTimings.schemaPauseMs)
  return watch
}
