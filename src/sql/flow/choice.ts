import { type Execute, type Fragment, identifier, type Statement, statement, textArray } from '../statement.ts'
import { isRunnable, pausedQueues } from './pauses.ts'
import { isFitting } from './versions.ts'

/** Which jobs a worker may take. */
export interface Choice {
  /** The names of its tasks. */
  readonly tasks: readonly string[]
  /** The version of each task that has one. The worker takes no jobs that a newer version has scheduled. */
  readonly versions: Readonly<Record<string, number>>
  readonly queues: QueueChoice
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
}

/**
 * Two common table expressions: `known` has the tasks that the worker may run now, and `listed` the queues of its list.
 * Paused tasks and queues count as not chosen.
 */
export function choosing(schema: string, { kind }: QueueChoice, values: ChoiceValues): Statement {
  const { tasks, versions, queues } = values
  return statement`known as materialized (
      select
        array_agg(id) as ids,
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
export function valuesOf({ tasks, versions, queues }: Choice): ChoiceValues {
  return {
    tasks: statement`${textArray(tasks)}::text`,
    versions: statement`${JSON.stringify(versions)}::text`,
    queues: statement`${textArray(queues.names)}::text`
  }
}

/** Whether no newer version of its task has scheduled a `job` of {@linkcode choosing}. */
export const IS_FITTING: Fragment = isFitting('job', '(select versions from known)')

/** Whether the worker may take a `job` of {@linkcode choosing}, whatever its queue. */
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
