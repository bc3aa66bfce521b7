import { isUsers, ownSchema } from '../names.ts'
import {
  type Access,
  type Execute,
  type Fragment,
  identifier,
  type Statement,
  statement,
  textArray
} from '../statement.ts'
import { isRunnable, pausedLanes, pausedQueues } from './pauses.ts'
import { isFitting, VERSIONED } from './versions.ts'

/** Which jobs a worker may take. */
export interface Choice {
  /** The names of its tasks. */
  readonly tasks: readonly string[]
  /** The version of each task that has one. The worker takes no jobs that a newer version has scheduled. */
  readonly versions: Readonly<Record<string, number>>
  readonly queues: QueueChoice
  /** The names of those of its tasks that have limits. */
  readonly limited: readonly string[]
}

/** The queues whose jobs a worker takes: those of a list `only`, `none`, or all `except` those of a list. */
export interface QueueChoice {
  readonly kind: 'only' | 'none' | 'except'
  readonly names: readonly string[]
}

/** Lets the register of workers show what each worker takes, and recurring jobs keep the version of their task. */
export async function registerChoices(execute: Execute, own: string): Promise<void> {
  await execute(statement`
    alter table ${identifier(own)}.workers
      add column if not exists task_versions json,
      add column if not exists queues json`)
  await execute(statement`alter table ${identifier(own)}.recurring add column if not exists task_version integer`)
}

/** The parts of a {@linkcode Choice} as SQL. */
export interface ChoiceValues {
  /** An array of text. */
  readonly tasks: Fragment | Statement
  /** JSON text. */
  readonly versions: Fragment | Statement
  /** An array of text. */
  readonly queues: Fragment | Statement
  /** An array of text. */
  readonly limited: Fragment | Statement
}

/**
 * Two common table expressions: `known` has the tasks that the worker may run now, and `listed` the queues of its list.
 * Paused tasks and queues count as not chosen.
 */
export function choosing(schema: string, { kind }: QueueChoice, values: ChoiceValues): Statement {
  const { tasks, versions, queues, limited } = values
  return statement`known as materialized (
      select
        array_agg(id) as ids,
        array_agg(id) filter (where identifier <> all(${limited}::text[])) as free_ids,
        array_agg(id) filter (where identifier = any(${limited}::text[])) as limited_ids,
        jsonb_object_agg(id, identifier) as names,
        jsonb_object_agg(id, ${versions}::jsonb -> identifier) as versions
      from ${identifier(schema)}._private_tasks task
      where identifier = any(${tasks}::text[]) and ${isRunnable(schema, 'task.identifier')}
    ), listed as materialized (
      select coalesce(array_agg(id), '{}') as ids
      from ${identifier(schema)}._private_job_queues
      where queue_name = any(${
        kind === 'only'
          ? statement`array(select unnest(${queues}::text[]) except ${pausedQueues(schema)})`
          : statement`${queues}::text[] || array(${pausedQueues(schema)})`
      })
    )`
}

/** The parts of a choice as parameters. */
export function valuesOf({ tasks, versions, queues, limited }: Choice): ChoiceValues {
  return {
    tasks: statement`${textArray(tasks)}::text`,
    versions: statement`${JSON.stringify(versions)}::text`,
    queues: statement`${textArray(queues.names)}::text`,
    limited: statement`${textArray(limited)}::text`
  }
}

/** Whether no newer version of its task has scheduled a `job` of {@linkcode choosing}. */
export const IS_FITTING: Fragment = { sql: isFitting('job', { sql: '(select versions from known)' }).text }

/** Whether the worker may take a `job` of {@linkcode choosing}. This does not look at the job's queue. */
export const IS_CHOSEN: Fragment = {
  sql: `job.task_id = any((select ids from known)::int[]) and ${IS_FITTING.sql}`
}

/** Whether the worker takes jobs of a queue of {@linkcode choosing}, by its id. */
export function isChosenQueue({ kind }: QueueChoice, id: string): string {
  if (kind === 'none') return 'false'
  return kind === 'only'
    ? `${id} = any((select ids from listed)::int[])`
    : `${id} <> all((select ids from listed)::int[])`
}

/** Whether the worker takes jobs of a lane now: of a task's lane whose key is not paused, or of a queue that it takes. */
export function isChosenLane(schema: string, choice: QueueChoice, id: string): Fragment {
  const ofTask = `exists (
          select from ${identifier(schema).sql}._private_job_queues queue where queue.id = ${id} and not ${isUsers('queue').sql}
        )`
  const isChosen = choice.kind === 'none' ? ofTask : isChosenQueue(choice, id)
  return { sql: `${isChosen} and ${id} <> all(array(${pausedLanes(schema).sql}))` }
}

/** Jobs of a task that wait although live workers run the task. */
export interface NotTaken {
  readonly task: string
  readonly count: number
  /** The id of the first of these jobs. */
  readonly first: string
}

/** Whether a version of a task has scheduled one of the jobs. */
export async function hasVersions({ execute, schema }: Access): Promise<boolean> {
  const [row] = await execute<{ has: string }>(statement`
    select (exists (
      select from ${identifier(schema)}._private_jobs where flags ? ${VERSIONED}::text
    ))::text as has`)
  return row?.has === 'true'
}

/** Finds due jobs that none of these workers takes, although one of them runs the task: for the job's version or queue. */
export async function findNotTaken({ execute, schema }: Access, workers: readonly string[]): Promise<NotTaken[]> {
  const engine = identifier(schema)
  const names: Fragment = { sql: "(select json_array_elements_text(worker.queues -> 'names'))" }
  const running = statement`
      select from ${identifier(ownSchema(schema))}.workers worker
      where worker.id = any(${textArray(workers)}::text::text[]) and task.identifier = any(worker.tasks)`
  const [row] = await execute<{ found: string }>(statement`
    select coalesce(json_agg(found order by count desc, task), '[]')::text as found
    from (
      select task.identifier as task, count(*) as count, min(job.id)::text as first
      from ${engine}._private_jobs job
      join ${engine}._private_tasks task on task.id = job.task_id
      left join ${engine}._private_job_queues queue on queue.id = job.job_queue_id and ${isUsers('queue')}
      where job.is_available and job.run_at <= now() and exists (${running}) and not exists (${running}
        and ${isFitting('job', { sql: "coalesce(worker.task_versions, '{}')" }, 'task.identifier')}
        and case worker.queues ->> 'kind'
          when 'none' then queue.id is null
          when 'only' then queue.queue_name in ${names}
          else queue.id is null or queue.queue_name not in ${names}
        end
      )
      group by task.identifier
    ) found`)
  return JSON.parse(row!.found)
}
