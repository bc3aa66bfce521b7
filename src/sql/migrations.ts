import type { Sql } from 'postgres'
import { createLedger } from './ledger/schema.ts'

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
  }
]

/** Asks for nothing, to see an answer. */
export async function ping(sql: Sql): Promise<void> {
  await sql`select`
}

/** Waits until nobody else migrates this database, and keeps others waiting until the connection ends or unlocks. */
export async function lockMigrations(sql: Sql): Promise<void> {
  await sql`select pg_advisory_lock(${LOCK_CLASS}, ${LOCK_ID})`
}

/** Lets the next one migrate. */
export async function unlockMigrations(sql: Sql): Promise<void> {
  await sql`select pg_advisory_unlock(${LOCK_CLASS}, ${LOCK_ID})`
}

/** The newest migration of a schema, 0 before the first, or `null` if it does not even have a table of them. */
export async function newestMigration(sql: Sql, schema: string): Promise<number | null> {
  const [found] = await sql<{ exists: boolean }[]>`
    select to_regclass(format('%I.migrations', ${schema}::text)) is not null as exists`
  if (!found?.exists) return null
  const [row] = await sql<{ id: number | null }[]>`select max(id) as id from ${sql(schema)}.migrations`
  return row?.id ?? 0
}

/** The newest step of an engine schema that older engines cannot live with, or `null`. */
export async function newestBreakingMigration(sql: Sql, schema: string): Promise<number | null> {
  const [row] = await sql<{ id: number | null }[]>`
    select max(id) as id from ${sql(schema)}.migrations where breaking`
  return row?.id ?? null
}

/** Makes the schema and the table that remembers what was applied. */
export async function createMigrationTable(sql: Sql, own: string): Promise<void> {
  await sql`create schema if not exists ${sql(own)}`
  await sql`
    create table if not exists ${sql(own)}.migrations (
      id integer primary key,
      name text not null,
      applied_at timestamptz not null default now()
    )`
}

/** Applies a step and remembers it, in one transaction. */
export async function applyMigration(session: Sql, migration: Migration, own: string): Promise<void> {
  await session`begin`
  try {
    await migration.apply(session, own)
    await session`insert into ${session(own)}.migrations (id, name) values (${migration.id}, ${migration.name})`
    await session`commit`
  } catch (error) {
    await session`rollback`
    throw error
  }
}

/** Two numbers that no other use of advisory locks is likely to share: "kretes" and "migrate", shortened. */
const LOCK_CLASS = 0x6b726574
const LOCK_ID = 0x6d696772
