import type { JobReference } from '../schedule.ts'
import type { Target } from '../sql/waiting.ts'
import { toTarget } from './change.ts'

/**
 * Which job a caller wants to cancel. A text of digits is an id, any other a key.
 *
 * @throws {TypeError} if it is no reference to a job
 */
export function toCancelTarget(reference: JobReference): Target {
  const isKey = typeof reference === 'string' && !/^\d+$/.test(reference)
  return toTarget(isKey ? { key: reference } : reference, 'cancel')
}
