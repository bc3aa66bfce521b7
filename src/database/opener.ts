import { codeOf } from './failure.ts'
import type { Database } from './open.ts'

/** Opens a resource on first use and keeps it open. */
export interface Opener<Opened> {
  /** Whether the resource is open or being opened. */
  readonly isOpening: boolean
  /** Opens the resource unless it is open. */
  open(): Promise<Opened>
  /** Call when the resource is gone. The next `open` opens it again. */
  forget(opened: Opened): void
  close(): Promise<void>
}

/** Creates an opener. After a failure, the next `open` tries again. */
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
 * Whether the embedded server is no longer at its address: it was stopped, and perhaps another server listens there.
 * The next server may have another address, or must be started first.
 */
export function isServerGone({ embedded }: Database, error: unknown): boolean {
  return embedded !== undefined && ['ECONNREFUSED', '28P01'].includes(codeOf(error) ?? '')
}
