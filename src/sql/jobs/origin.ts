import { type Access, type Fragment, identifier, statement } from '../statement.ts'

/** Columns that show whether a job existed before, and lead to its task and queue. */
export const ORIGIN_IDS: Fragment = {
  sql: ', job.revision::text as revision, job.task_id::text as task, job.job_queue_id::text as queue'
}

/** A row of {@linkcode ORIGIN_IDS}. All columns are `null` if the engine has added nothing. */
export interface OriginRow {
  readonly revision: string | null
  readonly task: string | null
  readonly queue: string | null
}

/** The task and the queue of a job. */
export interface Origin {
  readonly task: string
  readonly queue: string | null
}

/**
 * Reads the tasks and queues of the jobs that existed before the call, in the order of the rows. An earlier call has
 * chosen them. A second statement is necessary, because the first one does not see rows that were committed after it
 * began.
 */
export async function readOrigins(
  { execute, schema, isOurs }: Access,
  rows: readonly OriginRow[]
): Promise<(Origin | undefined)[]> {
  const isOld = ({ revision }: OriginRow): boolean => revision !== null && revision !== '0'
  if (!rows.some(isOld)) return []
  const origins = await execute<{ task: string | null; queue: string | null }>(statement`
    select tasks.identifier as task, queues.queue_name as queue
    from rows from (
      unnest(${toArray(rows.map(({ task }) => task))}::text::int[]),
      unnest(${toArray(rows.map(({ queue }) => queue))}::text::int[])
    ) with ordinality as added (task, queue, ordinal)
    left join ${identifier(schema)}._private_tasks tasks on tasks.id = added.task
    left join ${identifier(schema)}._private_job_queues queues on queues.id = added.queue
    order by ordinal`).catch(cause => {
    // The added jobs are committed. The caller must not send them again as if the server had refused them.
    throw isOurs
      ? Object.assign(new Error('Cannot read whose jobs the keys have', { cause }), { code: '40003' })
      : cause
  })
  return rows.map((row, index) => {
    const { task = null, queue = null } = origins[index] ?? {}
    return isOld(row) && task !== null ? { task, queue } : undefined
  })
}

function toArray(ids: readonly (string | null)[]): string {
  return `{${ids.map(id => id ?? 'null').join(',')}}`
}
