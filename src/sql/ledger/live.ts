import { ownSchema } from '../names.ts'
import { type Execute, identifier, statement, textArray } from '../statement.ts'

/** The progress and the log of a run. */
export interface RunNews {
  readonly id: string
  readonly attempt: number
  readonly progress: number | null
  readonly message: string | null
  /** A JSON array, as text. */
  readonly log: string | null
}

/** News of a worker's runs. */
export interface LiveNews {
  /** The ids of the jobs that the worker runs; `undefined` if they have not changed. */
  readonly running: readonly string[] | undefined
  /** Each job at most once. */
  readonly changed: readonly RunNews[]
  /** Jobs with progress in the database whose runs are over. */
  readonly ended: readonly string[]
}

/** Writes which jobs a worker runs, and their progress. */
export async function showRuns(execute: Execute, schema: string, worker: string, news: LiveNews): Promise<void> {
  const own = ownSchema(schema)
  const { running, changed, ended } = news
  await execute(statement`
    with shown as (
      update ${identifier(own)}.workers set running = ${textArray(running ?? [])}::text::bigint[]
      where id = ${worker}::text and ${{ sql: String(running !== undefined) }}
    ), removed as (
      delete from ${identifier(own)}.progress where job_id = any(${textArray(ended)}::text::bigint[])
    )
    insert into ${identifier(own)}.progress (job_id, attempt, progress, message, log, updated_at)
    select id, attempt, progress, message, log::json, now()
    from json_to_recordset(${JSON.stringify(changed)}::text::json) as run (id bigint, attempt smallint, progress real, message text, log text)
    on conflict (job_id) do update set
      attempt = excluded.attempt,
      progress = excluded.progress,
      message = excluded.message,
      log = excluded.log,
      updated_at = excluded.updated_at`)
}
