import type { Settled } from './pool.ts'

/** The jobs that this worker has locked: fetched, and not yet known to be written off in the database. */
export interface HeldJobs {
  readonly size: number
  ids(): string[]
  has(id: string): boolean
  add(id: string): void
  /** Takes off what a statement has completed, failed or returned. */
  settle(statement: Settled): void
}

/**
 * Keeps account of the jobs that a worker holds. A job counts as often as it was fetched: while a statement is repeated
 * whose answer was lost, the worker may have fetched the job that it unlocks again.
 */
export function createHeldJobs(): HeldJobs {
  const held = new Map<string, number>()
  return {
    get size() {
      return held.size
    },
    ids: () => [...held.keys()],
    has: id => held.has(id),
    add: id => void held.set(id, (held.get(id) ?? 0) + 1),
    settle: statement => {
      for (const id of idsOf(statement)) {
        const count = held.get(id) ?? 0
        if (count > 1) held.set(id, count - 1)
        else held.delete(id)
      }
    }
  }
}

/** The job ids among the parameters of the engine's statements; a test holds this against the real ones. */
export function idsOf({ kind, values }: Settled): readonly string[] {
  switch (kind) {
    case 'complete':
      return ([] as string[]).concat(values[0] as string | string[])
    case 'fail':
      // The engine fails jobs one by one with the details as JSON, and all at once when it is forced to stop.
      if (Array.isArray(values[0])) return values[0]
      return (JSON.parse(values[1] as string) as { jobId: string }[]).map(({ jobId }) => jobId)
    case 'return':
      return values[1] as string[]
    default:
      return []
  }
}
