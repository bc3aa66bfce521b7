import { BackgroundError } from '../../src/errors.ts'

export { didYouMean, nearMatches } from '../../src/text/suggest.ts'

/** A command line that cannot be carried out as it stands. The process ends with exit code 2. */
export class UsageError extends Error {
  override readonly name: string = 'UsageError'
}

/** Blames the command line for an argument that the library refuses. */
export function explainMisuse(error: unknown): never {
  if (error instanceof TypeError || error instanceof RangeError) throw new UsageError(error.message, { cause: error })
  throw error
}

/** Blames the command line for a payload that the task's schema refuses, or that does not go with the task's options. */
export function explainPayload(error: unknown): never {
  const isRefused = error instanceof BackgroundError && error.code === 'INVALID_PAYLOAD'
  if (isRefused) throw new UsageError(error.message, { cause: error })
  if (error instanceof Error && error.message.startsWith('Cannot schedule ')) explainMisuse(error)
  throw error
}
