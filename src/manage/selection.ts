import { type Names, refuseUnknown } from '../check/options.ts'
import type { JobState } from '../inspect.ts'
import type { JobReference } from '../schedule.ts'
import type { Action, Chosen } from '../sql/ledger/actions.ts'
import { describe } from '../text/describe.ts'
import { JOB_FILTER, toJobConditions } from './filter.ts'
import type { BulkFilter, JobSelection } from './manage.ts'
import { toTarget } from './reschedule.ts'

/**
 * Which jobs a caller means.
 *
 * @throws {TypeError} if it is neither a job, nor jobs, nor a filter that says which
 */
export function toChosen(action: Action, selection: JobSelection): Chosen {
  const verb = VERBS[action]
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
    throw new TypeError(
      `Cannot ${doing}: the filter is empty, which would mean all jobs. Say { all: true } if you mean that`
    )
  }
  const useless = conditions.states?.find(state => !STATES[action].includes(state))
  if (useless !== undefined) {
    throw new TypeError(
      `Cannot ${doing}: state is "${useless}", and that is done with ${STATES[action].join(', ')} jobs`
    )
  }
  return { conditions }
}

/** Whether one job is meant, not several or a filter. */
export function isReference(selection: unknown): selection is JobReference {
  if (typeof selection === 'string') return true
  return typeof selection === 'object' && selection !== null && ('id' in selection || 'key' in selection)
}

/** How jobs were named one by one. */
export function namesOf(chosen: Chosen): string[] {
  if ('conditions' in chosen) return []
  return chosen.targets.map(target => ('id' in target ? BigInt(target.id).toString() : target.key))
}

/** What a filter of a bulk action may hold. */
export const BULK_FILTER: Names<BulkFilter> = { ...JOB_FILTER, all: true }

/** What an action is called. */
export const VERBS: Readonly<Record<Action, string>> = {
  retry: 'retry',
  cancel: 'cancel',
  delete: 'delete',
  runNow: 'run'
}

/** The states of jobs that an action is for. */
const STATES: Readonly<Record<Action, readonly JobState[]>> = {
  retry: ['retrying', 'failed'],
  cancel: ['waiting', 'scheduled', 'running', 'retrying', 'failed'],
  delete: ['waiting', 'scheduled', 'retrying', 'failed'],
  runNow: ['scheduled', 'retrying']
}
