import type { Logger } from '../../logger.ts'

/** The options of {@linkcode createHangWatch}. */
export interface HangWatchOptions {
  /** Returns those of these backends that are working on a statement now. Uses another connection. */
  findWorking(backends: readonly number[]): Promise<readonly number[]>
  readonly logger: Logger
}

/** Finds connections that hang. */
export interface HangWatch {
  /** Watches a statement. Call the returned function when the answer arrives. */
  add(backend: number, abandon: () => void): () => void
  stop(): void
}

/**
 * A connection may hang for a quarter of an hour before the system closes it, and behind some routers for ever. A
 * statement without an answer for 10 seconds is abandoned, unless its backend is still working on it: then the
 * statement is slow, or it waits for a lock.
 */
export function createHangWatch({ findWorking, logger }: HangWatchOptions): HangWatch {
  const unanswered = new Set<Statement>()
  let isChecking = false

  async function check(): Promise<void> {
    const oldestMs = performance.now() - PATIENCE_MS
    const late = [...unanswered].filter(({ beganMs }) => beganMs < oldestMs)
    if (late.length === 0 || isChecking) return
    isChecking = true
    try {
      const working = new Set(await findWorking(late.map(({ backend }) => backend)))
      const lost = late.filter(statement => unanswered.has(statement) && !working.has(statement.backend))
      for (const { abandon } of lost) abandon()
    } catch (error) {
      logger.debug(`Cannot tell whether connections hang: ${error}`, { error })
    } finally {
      isChecking = false
    }
  }

  const round = setInterval(check, INTERVAL_MS)
  round.unref()
  return {
    add(backend, abandon) {
      const statement = { backend, beganMs: performance.now(), abandon }
      unanswered.add(statement)
      return () => void unanswered.delete(statement)
    },
    stop: () => clearInterval(round)
  }
}

interface Statement {
  readonly backend: number
  readonly beganMs: number
  abandon(): void
}

const PATIENCE_MS = 10_000
const INTERVAL_MS = 2_500
