import { type Names, refuseUnknown } from '../check/options.ts'
import { isReference, type JobReference, toTarget } from '../reference.ts'
import { ACTIONS, type Action } from '../rules/actions.ts'
import type { Chosen } from '../sql/ledger/actions.ts'
import { describe } from '../text/describe.ts'
import { JOB_FILTER, type JobFilter, toJobConditions } from './filter.ts'

/** The jobs of a bulk action: one or several, or those of a filter. Only `{ all: true }` means all jobs. */
export type JobSelection = JobReference | readonly JobReference[] | BulkFilter

/** A filter that cannot mean all jobs by accident. */
export interface BulkFilter extends JobFilter {
  /**
   * Confirms that a filter without other conditions means all jobs.
   *
   * @default false
   */
  all?: boolean
}

/** The conditions of {@linkcode BulkFilter}. */
export const BULK_FILTER: Names<BulkFilter> = { ...JOB_FILTER, all: true }

/**
 * Reads which jobs an action is to change.
 *
 * @throws {TypeError} if the selection is not a job, a list of jobs or a filter with a condition
 */
export function toChosen(action: Action, selection: JobSelection): Chosen {
  const { verb, states } = ACTIONS[action]
  if (isReference(selection)) return { targets: [toTarget(selection, verb)] }
  if (Array.isArray(selection)) return { targets: selection.map(reference => toTarget(reference, verb)) }
  const doing = `${verb} jobs`
  refuseUnknown(selection, BULK_FILTER, doing, 'condition')
  const filter = selection as BulkFilter
  const conditions = toJobConditions(filter, doing)
  const isEmpty = Object.values(conditions).every(condition => condition === null)
  if (filter.all !== undefined && typeof filter.all !== 'boolean') {
    throw new TypeError(`Cannot ${doing}: all is ${describe(filter.all)}, neither true nor false`)
  }
  if (isEmpty && !filter.all) {
    throw new TypeError(`Cannot ${doing}: the filter is empty. If you mean all jobs, pass { all: true }`)
  }
  const useless = conditions.states?.find(state => !states.includes(state))
  if (useless !== undefined) {
    throw new TypeError(`Cannot ${doing}: state is "${useless}", none of ${states.join(', ')}`)
  }
  return { conditions }
}

/** The jobs that were named one by one. */
export function namesOf(chosen: Chosen): string[] {
  if ('conditions' in chosen) return []
  return chosen.targets.map(target => ('id' in target ? BigInt(target.id).toString() : target.key))
}
