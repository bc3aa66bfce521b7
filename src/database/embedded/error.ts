/** The server cannot be used here, for a reason that the message explains. */
export class EmbeddedError extends Error {
  override readonly name: string = 'EmbeddedError'
}

/** PostgreSQL's programs are not installed. */
export class NotInstalledError extends EmbeddedError {
  override readonly name: string = 'NotInstalledError'
}

/** The code of an error of the system or the database, such as `ENOENT`. */
export function codeOf(error: unknown): string | undefined {
  return error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : undefined
}

/** Replaces errors that have one of these codes with `null`: for files that may be missing. */
export function nullIf<T>(promise: Promise<T>, ...codes: string[]): Promise<T | null> {
  return promise.catch(error => {
    if (codes.includes(codeOf(error) ?? '')) return null
    throw error
  })
}

/** The message of anything that was thrown. */
export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error)
}
