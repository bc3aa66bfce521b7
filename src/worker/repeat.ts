import { setTimeout } from 'node:timers/promises'
import type { Logger } from '../logger.ts'

/**
 * Repeats what must not fail, whatever it fails for, until the signal aborts. The engine would end instead, and what it
 * could not write would be forgotten: jobs that have finished would run again.
 */
export async function repeat<Result>(
  work: () => Promise<Result>,
  { logger, signal }: { readonly logger: Logger; readonly signal: AbortSignal }
): Promise<Result> {
  let told = ''
  for (let failures = 0; ; failures++) {
    try {
      return await work()
    } catch (error) {
      if (signal.aborted) throw error
      const problem = `Cannot write what has become of jobs, and tries again until it can: ${error}`
      if (problem !== told) logger.error(problem, { event: 'worker.blocked', error })
      told = problem
      const limitMs = Math.min(MAX_PAUSE_MS, MIN_PAUSE_MS * 2 ** Math.min(failures, 10))
      await setTimeout(limitMs * (0.5 + Math.random() / 2), undefined, { signal }).catch(() => {})
      if (signal.aborted) throw error
    }
  }
}

const MIN_PAUSE_MS = 100
const MAX_PAUSE_MS = 5_000
