import type { Retention } from '../../rules/retention.ts'
import type { Choice } from '../flow/choice.ts'
import { ownSchema } from '../names.ts'
import { type Execute, identifier, statement, textArray } from '../statement.ts'

/** A worker as other workers and users see it. */
export interface Registration {
  readonly id: string
  readonly host: string
  readonly pid: number
  readonly concurrency: number
  /** The jobs that the worker may take. */
  readonly choice: Choice
  /** How long the worker keeps runs; `null` if it records none. */
  readonly retention: Retention | null
}

/**
 * Registers a worker, so that other workers can tell its jobs from the jobs of other processes. The statement also
 * removes the progress that lost workers have left for runs that are over.
 */
export async function registerWorker(execute: Execute, schema: string, registration: Registration): Promise<void> {
  const { id, host, pid, concurrency, choice, retention } = registration
  const own = ownSchema(schema)
  await execute(statement`
    with forgotten as (
      delete from ${identifier(own)}.progress
      where not exists (
        select from ${identifier(schema)}._private_jobs job where job.id = progress.job_id and job.locked_at is not null
      )
    )
    insert into ${identifier(own)}.workers (id, host, pid, concurrency, tasks, task_versions, queues, retention)
    values (
      ${id}::text,
      ${host}::text,
      ${pid}::text::int,
      ${concurrency}::text::int,
      ${textArray(choice.tasks)}::text::text[],
      ${JSON.stringify(choice.versions)}::text::json,
      ${JSON.stringify(choice.queues)}::text::json,
      ${retention && JSON.stringify(retention)}::text::json
    )
    on conflict (id) do update set beat_at = now()`)
}

/**
 * Removes a worker from the register after it has released its jobs, and releases all queues and slots that it still holds.
 */
export async function unregisterWorker(execute: Execute, schema: string, id: string): Promise<void> {
  await execute(statement`
    with unlocked as (
      update ${identifier(schema)}._private_job_queues set locked_at = null, locked_by = null where locked_by = ${id}::text
    ), ended as (
      delete from ${identifier(ownSchema(schema))}.leases where worker = ${id}::text returning slots
    )
    delete from ${identifier(ownSchema(schema))}.workers where id = ${id}::text
    returning (select count(pg_notify('jobs:insert', '{"count":1}')) from (select from ended limit 1) ended)::text`)
}
