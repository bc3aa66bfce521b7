import { codeOf } from './failure.ts'
import type { Database } from './open.ts'

/** Opens a resource on first use and keeps it open. */
export interface Opener<Opened> {
  /** Whether the resource is open or being opened. */
  readonly isOpening: boolean
  /** Opens the resource unless it is open. */
  open(): Promise<Opened>
  /** Closes it after a caller has found it gone. The next call opens it again. */
  forget(opened: Opened): void
  close(): Promise<void>
}

/** Makes an opener. After a failure, the next call tries again. */
export function createOpener<Opened>(
  open: () => Promise<Opened>,
  close: (opened: Opened) => Promise<void>
): Opener<Opened> {
  let opening: Promise<Opened> | undefined
  let current: Opened | undefined
  const closings = new Set<Promise<void>>()

  async function begin(): Promise<Opened> {
    try {
      current = await open()
      return current
    } catch (error) {
      opening = undefined
      throw error
    }
  }

  return {
    get isOpening() {
      return opening !== undefined
    },
    open: () => (opening ??= begin()),
    forget(opened) {
      if (opened !== current) return
      current = undefined
      opening = undefined
      const closing = close(opened)
        .catch(() => {})
        .finally(() => closings.delete(closing))
      closings.add(closing)
    },
    async close() {
      const opened = await opening?.catch(() => undefined)
      if (opened) await close(opened)
      await Promise.all(closings)
    }
  }
}

/**
 * Whether an error shows that the embedded server is no longer at its address. It was stopped, and another server may
 * listen there. The next one may be at another port, or has yet to be started.
 */
export function isServerGone({ embedded }: Database, error: unknown): boolean {
  return embedded !== undefined && ['ECONNREFUSED', '28P01'].includes(codeOf(error) ?? '')
}
