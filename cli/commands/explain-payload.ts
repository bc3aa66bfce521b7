import { BackgroundError } from '../../src/errors.ts'
import { UsageError } from '../input/usage-error.ts'

/** What the task's schema has to say against a payload is said of the command line. */
export function explainPayload(error: unknown): never {
  const isMisuse = error instanceof BackgroundError && error.code === 'INVALID_PAYLOAD'
  throw isMisuse ? new UsageError(error.message, { cause: error }) : error
}
