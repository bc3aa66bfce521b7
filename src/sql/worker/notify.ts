import { LIMITS_CHANNEL } from '../flow/rates.ts'
import { CANCEL_CHANNEL } from '../jobs/cancel.ts'
import { RECURRING_CHANNEL } from '../recurring/row.ts'
import { type Execute, type Statement, statement } from '../statement.ts'

/** Notifies all workers that jobs wait, with the notification that `add_job` sends. */
export async function notifyWorkers(execute: Execute, count: number): Promise<void> {
  await execute(statement`select pg_notify('jobs:insert', json_build_object('count', ${count}::text::int)::text)`)
}

/** Listens for cancelled jobs, and for changed recurring jobs and limits. */
export const listenStatement: Statement = {
  text: `listen "${CANCEL_CHANNEL}"; listen "${RECURRING_CHANNEL}"; listen "${LIMITS_CHANNEL}"`,
  values: []
}
