import type { JobReference } from '../schedule.ts'
import type { Target } from '../sql/waiting.ts'
import { toTarget } from './change.ts'

/**
 * Which job a caller means who may name it in any way. A text of digits is an id, any other a key.
 *
 * @throws {TypeError} if it is no reference to a job
 */
export function toJobTarget(reference: JobReference, verb: string): Target {
  const isKey = typeof reference === 'string' && !/^\d+$/.test(reference)
  return toTarget(isKey ? { key: reference } : reference, verb)
}
