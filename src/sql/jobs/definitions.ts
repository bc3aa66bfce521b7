import { ownSchema } from '../names.ts'
import { type Access, type Execute, identifier, statement } from '../statement.ts'

/** The defaults of a task. Workers register them for callers that schedule the task by name. */
export interface Definition {
  readonly name: string
  /** `null` means no queue. Without this property, the task does not set a queue. */
  readonly queue?: string | null
  /** How many jobs of the queue run at the same time, if they do not run one after another. */
  readonly queueConcurrency?: number
  readonly priority?: number
  readonly maxAttempts?: number
  readonly version?: number
  /** The names of its limits, if it has some. */
  readonly limits?: readonly string[]
}

/**
 * Creates the table of the tasks that workers know. Rows stay, so that callers can schedule jobs while no worker runs.
 */
export async function createDefinitions(execute: Execute, own: string): Promise<void> {
  await execute(statement`
    create table ${identifier(own)}.definitions (
      name text primary key,
      definition json not null,
      registered_at timestamptz not null default now()
    )`)
}

/** Registers the tasks of a worker. The latest worker wins. */
export async function registerDefinitions(
  execute: Execute,
  schema: string,
  definitions: readonly Definition[]
): Promise<void> {
  await execute(statement`
    insert into ${identifier(ownSchema(schema))}.definitions (name, definition)
    select item ->> 'name', item from json_array_elements(${JSON.stringify(definitions)}::text::json) item
    order by 1
    on conflict (name) do update set definition = excluded.definition, registered_at = now()
    where definitions.definition::text <> excluded.definition::text`)
}

/**
 * Finds all tasks that workers have registered. Returns an empty list if the table is missing or the role may not read
 * it. The function checks this first, because a statement that fails would abort the caller's transaction.
 */
export async function findDefinitions({ execute, schema }: Access): Promise<readonly Definition[]> {
  const own = ownSchema(schema)
  const [table] = await execute<{ open: string }>(statement`
    select has_table_privilege(relation.oid, 'select')::text as open
    from pg_catalog.pg_class relation
    join pg_catalog.pg_namespace namespace on namespace.oid = relation.relnamespace
    where namespace.nspname = ${own}::text and relation.relname = 'definitions'
      and has_schema_privilege(namespace.oid, 'usage')`)
  if (table?.open !== 'true') return []
  const rows = await execute<{ definition: string }>(statement`
    select definition::text as definition from ${identifier(own)}.definitions`)
  return rows.map(({ definition }) => JSON.parse(definition))
}
