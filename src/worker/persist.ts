import { setTimeout } from 'node:timers/promises'
import { isTransientFailure } from '../database/failure.ts'
import type { Outage } from './outage.ts'

/** Repeats work while it fails for reasons that pass, after pauses that grow, until the signal aborts. */
export async function persist<Result>(
  work: () => Promise<Result>,
  { outage, signal }: { readonly outage: Outage; readonly signal: AbortSignal }
): Promise<Result> {
  const who = {}
  for (let failures = 1; ; failures++) {
    try {
      const result = await work()
      if (failures > 1) outage.recovered(who)
      return result
    } catch (error) {
      if (!signal.aborted && isTransientFailure(error)) {
        outage.failed(who, error)
        const limitMs = Math.min(MAX_PAUSE_MS, MIN_PAUSE_MS * 2 ** Math.min(failures, 10))
        await setTimeout(limitMs * (0.5 + Math.random() / 2), undefined, { signal }).catch(() => {})
        if (!signal.aborted) continue
      }
      outage.forget(who)
      throw error
    }
  }
}

const MIN_PAUSE_MS = 50
const MAX_PAUSE_MS = 2_000
