import { JOB_STATES, type JobState } from './states.ts'

/** What you can do with many jobs at a time. */
export type Action = 'retry' | 'cancel' | 'delete' | 'runNow'

/** The name of each action in messages, and the states of the jobs that it is for. */
export const ACTIONS: Readonly<Record<Action, { readonly verb: string; readonly states: readonly JobState[] }>> = {
  retry: { verb: 'retry', states: ['retrying', 'failed'] },
  cancel: { verb: 'cancel', states: JOB_STATES },
  delete: { verb: 'delete', states: ['waiting', 'scheduled', 'retrying', 'failed'] },
  runNow: { verb: 'run', states: ['scheduled', 'retrying'] }
}

/** Whether the action applies to every job that no worker holds, in any state. */
export function isForAllStates(action: Action): boolean {
  return JOB_STATES.every(state => state === 'running' || ACTIONS[action].states.includes(state))
}
