import { ownSchema } from '../names.ts'
import { type Access, type Execute, identifier, statement } from '../statement.ts'

/** The defaults of a task, registered by workers for callers that schedule it by name. */
export interface Definition {
  readonly name: string
  /** `null` is none; left out, the task does not say. */
  readonly queue?: string | null
  readonly priority?: number
  readonly maxAttempts?: number
}

/** Creates the table of tasks that workers know. It keeps them, so that jobs can be scheduled while no worker runs. */
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
 * Finds all tasks that workers have registered; none if the table is missing or the role may not read it. It asks first,
 * because a statement that fails would end the caller's transaction.
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
