import { BackgroundError } from '../../errors.ts'

/** What goes wrong with the embedded database, in words. */
export function embeddedFailure(message: string, cause?: unknown): BackgroundError {
  return new BackgroundError('EMBEDDED_DATABASE', message, cause === undefined ? undefined : { cause })
}

/** The system's code of an error, such as `ENOENT`. */
export function systemCode(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}

/** Turns the errors named into `null`: for files that may be missing. */
export function nullIf<T>(promise: Promise<T>, ...codes: string[]): Promise<T | null> {
  return promise.catch(error => {
    if (codes.includes(systemCode(error) ?? '')) return null
    throw error
  })
}
