import { type Execute, statement, textArray } from '../statement.ts'

/** An object that an application has created in our schema by accident. */
export interface Stray {
  /** The name, quoted if necessary. The name of a function includes its arguments. */
  readonly name: string
  /** The statement that moves the object to `public`. */
  readonly statement: string
}

/**
 * Finds tables, views, sequences, types, functions and extensions in our schema that are not ours. Objects that move
 * with another object are left out: the sequence of a column, and the parts of an extension.
 */
export async function findStrays(execute: Execute, own: string): Promise<Stray[]> {
  const [row] = await execute<{ strays: string }>(statement`
    with found as (
      select 'extension' as kind, extname::text as name, null as arguments, 0 as step
      from pg_extension where extnamespace = to_regnamespace(quote_ident(${own}::text)) and extrelocatable
      union all
      select 'table', relname, null, 2
      from pg_class
      where relnamespace = to_regnamespace(quote_ident(${own}::text)) and relkind in ('r', 'p', 'v', 'm', 'f', 'S')
        and not relname = any(${OURS}::text::text[]) and relname !~ ${OUR_PARTITIONS}::text
        and not exists (
          select from pg_depend
          where classid = 'pg_class'::regclass and objid = pg_class.oid
            and (deptype = 'e' or (relkind = 'S' and deptype in ('a', 'i')))
        )
      union all
      select case typtype when 'd' then 'domain' else 'type' end, typname, null, 1
      from pg_type
      left join pg_class on pg_class.oid = typrelid
      where typnamespace = to_regnamespace(quote_ident(${own}::text))
        and (typtype in ('e', 'd', 'r') or (typtype = 'c' and relkind = 'c'))
        and not exists (select from pg_depend where classid = 'pg_type'::regclass and objid = pg_type.oid and deptype = 'e')
      union all
      select 'routine', proname, pg_get_function_identity_arguments(oid), 3
      from pg_proc
      where pronamespace = to_regnamespace(quote_ident(${own}::text)) and proname <> 'claim_lanes'
        and not exists (
          select from pg_depend where classid = 'pg_proc'::regclass and objid = pg_proc.oid and deptype in ('e', 'i')
        )
    )
    select coalesce(
      json_agg(
        json_build_object(
          'name', quote_ident(name) || coalesce('(' || arguments || ')', ''),
          'statement', format(
            'alter %s %s%I%s set schema public',
            kind, case when kind <> 'extension' then quote_ident(${own}::text) || '.' end, name, '(' || arguments || ')'
          )
        ) order by step, name
      ), '[]'
    )::text as strays
    from found`)
  return JSON.parse(row?.strays ?? '[]')
}

/** Moves a stray object to `public`. */
export async function moveStray(execute: Execute, stray: Stray): Promise<void> {
  await execute({ text: stray.statement, values: [] })
}

/** The schema in which PostgreSQL creates a table whose name has no schema. */
export async function readCurrentSchema(execute: Execute): Promise<{ schema: string | null; user: string }> {
  const [row] = await execute<{ schema: string | null; user: string }>(statement`
    select current_schema()::text as schema, current_user::text as user`)
  return row!
}

/** The tables and views of our schema. A test compares this list with a fresh schema. */
const OURS = textArray([
  'counters',
  'declared_limits',
  'definitions',
  'holds',
  'jobs',
  'leases',
  'ledger',
  'limit_history',
  'limit_minutes',
  'limits',
  'migrations',
  'paused',
  'pauses',
  'progress',
  'queue_counters',
  'queues',
  'rates',
  'recurring',
  'recurring_versions',
  'runs',
  'schedules',
  'starts',
  'tasks',
  'waiters',
  'workers'
])
const OUR_PARTITIONS = '^ledger_\\d{8}'
