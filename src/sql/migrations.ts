import type { Sql } from 'postgres'
import { createDefinitions } from './definitions.ts'
import { splitCounters } from './ledger/counters.ts'
import { identifyPartitions } from './ledger/partitions.ts'
import { createLedger } from './ledger/schema.ts'
import { versionOfViews } from './ledger/views.ts'
import { ownSchema } from './names.ts'

/** One step of our own schema. Steps are only ever added; a released one never changes. */
export interface Migration {
  readonly id: number
  readonly name: string
  apply(session: Sql, own: string): Promise<unknown>
}

/** The steps, in order. */
export const migrations: readonly Migration[] = [
  {
    id: 1,
    name: 'register workers',
    apply: (session, own) => session`
      create table ${session(own)}.workers (
        id text primary key,
        lock_id integer generated always as identity unique,
        host text not null,
        pid integer not null,
        concurrency integer not null,
        started_at timestamptz not null default now(),
        beat_at timestamptz not null default now()
      )`
  },
  { id: 2, name: 'keep a ledger', apply: createLedger },
  {
    id: 3,
    name: 'register how long runs are kept',
    apply: (session, own) => session`alter table ${session(own)}.workers add column retention json`
  },
  {
    id: 4,
    name: 'find runs by time',
    // Not by the column itself: where runs of one task and one state are looked up, such an index would be walked through.
    apply: (session, own) => session`create index on ${session(own)}.ledger ((finished_at at time zone 'UTC'))`
  },
  {
    id: 5,
    name: 'show progress on replicas',
    // A hot standby refuses every statement that names an unlogged table, and with it the view of jobs.
    apply: (session, own) => session`alter table ${session(own)}.progress set logged`
  },
  { id: 6, name: 'count queues apart', apply: splitCounters },
  { id: 7, name: 'let the ledger be published', apply: identifyPartitions },
  {
    id: 8,
    name: 'keep how jobs ended',
    // Of older runs nobody knows; see `IS_OVER`.
    apply: (session, own) => session`
      alter table ${session(own)}.ledger
        add column if not exists is_over boolean,
        add column if not exists result_problem text`
  },
  { id: 9, name: 'register tasks', apply: createDefinitions }
]

/** Waits until nobody else migrates this database, and keeps others waiting until the connection ends or unlocks. */
export async function lockMigrations(sql: Sql): Promise<void> {
  await sql`select pg_advisory_lock(${LOCK_CLASS}, ${LOCK_ID})`
}

/** Lets the next one migrate. */
export async function unlockMigrations(sql: Sql): Promise<void> {
  await sql`select pg_advisory_unlock(${LOCK_CLASS}, ${LOCK_ID})`
}

/** Waits for a migration that is under way; to be called in a transaction, at whose end others go on. */
export async function awaitMigration(sql: Sql): Promise<void> {
  await sql`select pg_advisory_xact_lock(${LOCK_CLASS}, ${LOCK_ID})`
}

/** How far a database is. */
export interface Versions {
  /** The newest migration of the engine; 0 before the first, `null` if it does not even have a table of them. */
  readonly engine: number | null
  /** The newest of them that older engines cannot live with. */
  readonly breaking: number | null
  /** The newest step of our own schema, in the same way. */
  readonly own: number | null
  /** The version of our views; 0 if one is missing. */
  readonly views: number
}

/** Looks how far a database is. Nobody has to wait for that, and it waits for nobody. */
export async function readVersions(sql: Sql, schema: string): Promise<Versions> {
  const own = ownSchema(schema)
  const [found] = await sql<{ engine: boolean; own: boolean; views: number }[]>`
    select
      to_regclass(format('%I.migrations', ${schema}::text)) is not null as engine,
      to_regclass(format('%I.migrations', ${own}::text)) is not null as own,
      ${versionOfViews(sql, own)} as views`
  const { views = 0 } = found ?? {}
  // A row as JSON, since an old engine's have no such column.
  const engine = sql`
    select max(id) as id, max(id) filter (where (to_json(step) ->> 'breaking')::bool) as breaking
    from ${sql(schema)}.migrations step`
  const nothing = sql`select null::int as id, null::int as breaking`
  const [row] = await sql<{ engine: number | null; breaking: number | null; own: number | null }[]>`
    select engine.id as engine, engine.breaking, own.id as own
    from (${found?.engine ? engine : nothing}) engine,
      (${found?.own ? sql`select max(id) as id from ${sql(own)}.migrations` : nothing}) own`
  return {
    engine: found?.engine ? (row?.engine ?? 0) : null,
    breaking: row?.breaking ?? null,
    own: found?.own ? (row?.own ?? 0) : null,
    views
  }
}

/** The newest step of an engine schema that older engines cannot live with, or `null`. */
export async function newestBreakingMigration(sql: Sql, schema: string): Promise<number | null> {
  const [row] = await sql<{ id: number | null }[]>`
    select max(id) as id from ${sql(schema)}.migrations where breaking`
  return row?.id ?? null
}

/**
 * Makes a schema unless it is there. PostgreSQL asks for the privilege to create one before it looks, so `if not exists`
 * fails for a role that owns nothing but the schema.
 */
export async function createSchema(sql: Sql, name: string): Promise<void> {
  const [found] = await sql`select from pg_namespace where nspname = ${name}`
  if (!found) await sql`create schema if not exists ${sql(name)}`
}

/** Makes the schema and the table that remembers what was applied. */
export async function createMigrationTable(sql: Sql, own: string): Promise<void> {
  await createSchema(sql, own)
  await sql`
    create table if not exists ${sql(own)}.migrations (
      id integer primary key,
      name text not null,
      applied_at timestamptz not null default now()
    )`
}

/** Applies a step and remembers it; to be called in a transaction. */
export async function applyMigration(session: Sql, migration: Migration, own: string): Promise<void> {
  await migration.apply(session, own)
  await session`insert into ${session(own)}.migrations (id, name) values (${migration.id}, ${migration.name})`
}

/** Two numbers that no other use of advisory locks is likely to share: "kretes" and "migrate", shortened. */
const LOCK_CLASS = 0x6b726574
const LOCK_ID = 0x6d696772
