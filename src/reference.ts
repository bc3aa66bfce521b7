import { checkKey } from './check/values.ts'
import type { Target } from './sql/jobs/waiting.ts'
import { describe } from './text/describe.ts'

/** A job: its id, its key, or the job itself as `schedule` returns it. A string of digits is an id, any other a key. */
export type JobReference = string | { readonly id: string } | { readonly key: string }

/** Whether one job is given, not several or a filter. */
export function isReference(selection: unknown): selection is JobReference {
  if (typeof selection === 'string') return true
  return typeof selection === 'object' && selection !== null && ('id' in selection || 'key' in selection)
}

/**
 * Reads which job a caller means.
 *
 * @throws {TypeError} if it is no reference to a job
 */
export function toTarget(reference: JobReference, verb: string): Target {
  const isKey = typeof reference === 'string' && !/^\d+$/.test(reference)
  const named: unknown = typeof reference === 'string' ? { [isKey ? 'key' : 'id']: reference } : reference
  const { id, key } = (typeof named === 'object' && named !== null ? named : {}) as { id?: unknown; key?: unknown }
  // A job has both. The id wins, because another job may have taken the key.
  if (id !== undefined) {
    if (typeof id === 'string' && /^\d{1,19}$/.test(id) && BigInt(id) <= MAX_ID) return { id }
    throw new TypeError(
      `Cannot ${verb} a job: its id is ${describe(id)}, not a number as text. For a key, pass { key }`
    )
  }
  if (key === undefined || key === null) {
    throw new TypeError(`Cannot ${verb} a job: the argument is ${describe(reference)}, not a job, an id or { key }`)
  }
  checkKey(key, `${verb} a job`)
  return { key }
}

const MAX_ID = 2n ** 63n - 1n
