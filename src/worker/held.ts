import { idsOf, type Settled } from './settled.ts'

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
