import { ownSchema } from '../names.ts'
import { type Execute, type Fragment, identifier, statement, textArray } from '../statement.ts'
import { DEFINITION, given, type Planned, REDEFINED } from './entries.ts'
import { RECURRING_CHANNEL, table } from './row.ts'

/** A version of what the code of a task declares. */
export interface Version {
  readonly task: string
  /** A hash of the recurring jobs of the task. */
  readonly fingerprint: string
  /** Whether there are none. */
  readonly isEmpty: boolean
}

/** Whether any code has ever declared recurring jobs. This is all that a worker asks whose code declares none. */
export async function hasDeclarations(execute: Execute, schema: string): Promise<boolean> {
  const [row] = await execute<{ found: boolean }>(statement`
    select exists (select from ${versionsTable(schema)}) as found`)
  return row!.found
}

/** Registers the versions of a worker, so that workers with other versions know that these are in use. */
export async function registerVersions(
  execute: Execute,
  schema: string,
  worker: string,
  versions: readonly Version[]
): Promise<void> {
  await execute(statement`
    update ${workersTable(schema)} set versions = ${textArray(versions.map(toText))}::text::text[]
    where id = ${worker}::text`)
}

/** Makes other workers that declare recurring jobs wait until the transaction ends. */
export async function lockVersions(execute: Execute, schema: string): Promise<void> {
  await execute(statement`lock table ${versionsTable(schema)} in share row exclusive mode`)
}

/** A task that the code of a program declares recurring jobs for, and that a worker of the program does not know. */
export interface UnknownTask {
  readonly task: string
  /** Whether another worker knows it. */
  readonly isKnown: boolean
}

/** Finds tasks of a program that this worker does not know. */
export async function findUnknown(
  execute: Execute,
  schema: string,
  source: string,
  tasks: readonly string[]
): Promise<readonly UnknownTask[]> {
  return await execute<UnknownTask>(statement`
    select task, exists (
      select from ${workersTable(schema)} worker where worker.tasks @> array[recurring.task]
    ) as "isKnown"
    from ${table({ schema })} recurring
    where source = ${source}::text and code is not null and orphaned_at is null
      and task <> all(${textArray(tasks)}::text::text[])
    group by task`)
}

/** A version that is newer than the caller's. */
export interface NewerVersion {
  readonly task: string
  /** Whether a worker has it. */
  readonly isInUse: boolean
}

/**
 * Adds versions to the history, and finds newer ones of the same tasks. A version that was never seen before is the
 * newest. A task that has never had a recurring job needs no history.
 */
export async function addVersions(
  execute: Execute,
  schema: string,
  versions: readonly Version[]
): Promise<readonly NewerVersion[]> {
  const history = versionsTable(schema)
  await execute(statement`
    insert into ${history} (task, fingerprint)
    select task, fingerprint
    from json_to_recordset(${JSON.stringify(versions)}::text::json) own (task text, fingerprint text, "isEmpty" bool)
    where not "isEmpty" or exists (select from ${history} known where known.task = own.task)
    order by task
    on conflict do nothing`)
  return await execute<NewerVersion>(statement`
    select newer.task, bool_or(exists (
      select from ${workersTable(schema)} worker where worker.versions @> array[newer.fingerprint || ' ' || newer.task]
    )) as "isInUse"
    from json_to_recordset(${JSON.stringify(versions)}::text::json) own (task text, fingerprint text)
    join ${history} mine using (task, fingerprint)
    join ${history} newer on newer.task = mine.task and newer.since > mine.since
    group by newer.task`)
}

/** Makes versions the newest of their tasks. */
export async function renewVersions(execute: Execute, schema: string, versions: readonly Version[]): Promise<void> {
  await execute(statement`
    update ${versionsTable(schema)} set since = clock_timestamp()
    where fingerprint || ' ' || task = any(${textArray(versions.map(toText))}::text::text[])`)
}

/** What the code of a worker declares. */
export interface Declarations {
  readonly source: string
  /** The tasks about which this code decides. */
  readonly tasks: readonly string[]
  readonly definitions: readonly Planned[]
}

/** The names of recurring jobs that {@linkcode declareEntries} has written and removed. */
export interface Declared {
  readonly written: readonly string[]
  readonly removed: readonly string[]
}

/**
 * Writes the recurring jobs that code declares for its tasks, and removes those that it no longer declares. One that was
 * changed or removed by hand stays so, and only learns its definition in the code.
 *
 * A removed one keeps its row for a month: if another version declares it again, its occurrences continue.
 */
export async function declareEntries(
  execute: Execute,
  schema: string,
  { source, tasks, definitions }: Declarations
): Promise<Declared> {
  const recurring = table({ schema })
  const written = await execute<{ name: string }>(statement`
    with given as materialized (${given(definitions)})
    insert into ${recurring} as recurring (name, ${DEFINITION}, next_at, source, code)
    select name, ${DEFINITION}, next_at, ${source}::text, code from given order by name
    on conflict (name) do update set ${REDEFINED}, source = excluded.source, code = excluded.code
    where recurring.changed_at is null and recurring.removed_at is null
      and (recurring.code is null or recurring.orphaned_at is not null or recurring.source <> excluded.source
        or recurring.code::jsonb - 'nextMs' <> excluded.code::jsonb - 'nextMs')
    returning name`)
  await execute(statement`
    with given as materialized (${given(definitions)})
    update ${recurring} recurring set source = ${source}::text, code = given.code, orphaned_at = null
    from given
    where recurring.name = given.name and (recurring.changed_at is not null or recurring.removed_at is not null)`)
  const isGone = statement`
    code is not null and orphaned_at is null and task = any(${textArray(tasks)}::text::text[])
      and name <> all(${textArray(definitions.map(({ name }) => name))}::text::text[])`
  // One that was changed by hand lives on as if a call had set it.
  await execute(statement`
    update ${recurring} set source = null, code = null, changed_at = null
    where ${isGone} and changed_at is not null and removed_at is null`)
  const removed = await execute<{ name: string }>(statement`
    update ${recurring} set orphaned_at = now(), updated_at = now() where ${isGone} returning name`)
  await execute(statement`delete from ${recurring} where orphaned_at < now() - interval '30 days'`)
  if (written.length > 0) await execute(statement`select pg_notify(${RECURRING_CHANNEL}::text, '')`)
  return { written: written.map(({ name }) => name), removed: removed.map(({ name }) => name) }
}

function toText({ task, fingerprint }: Version): string {
  return `${fingerprint} ${task}`
}

function versionsTable(schema: string): Fragment {
  return { sql: `${identifier(ownSchema(schema)).sql}.recurring_versions` }
}

function workersTable(schema: string): Fragment {
  return { sql: `${identifier(ownSchema(schema)).sql}.workers` }
}
