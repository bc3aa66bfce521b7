import { type Execute, statement } from '../statement.ts'

/** Notifies all workers that jobs wait, with the notification that `add_job` sends. */
export async function notifyWorkers(execute: Execute, count: number): Promise<void> {
  await execute(statement`select pg_notify('jobs:insert', json_build_object('count', ${count}::text::int)::text)`)
}
