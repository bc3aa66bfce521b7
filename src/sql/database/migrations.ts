import { registerChoices } from '../flow/choice.ts'
import { createLanes } from '../flow/claim-lanes.ts'
import { createHistory } from '../flow/history.ts'
import { indexLanes } from '../flow/lane-index.ts'
import { createLimits } from '../flow/limits.ts'
import { addPausesOfKeys, createPauses } from '../flow/pauses.ts'
import { createRates } from '../flow/rates.ts'
import { createDefinitions } from '../jobs/definitions.ts'
import { splitCounters } from '../ledger/counters.ts'
import { identifyPartitions } from '../ledger/partitions.ts'
import { createLedger } from '../ledger/schema.ts'
import { versionOfViews } from '../ledger/views.ts'
import { ownSchema } from '../names.ts'
import { createRecurring } from '../recurring/schema.ts'
import { type Execute, type Fragment, identifier, statement } from '../statement.ts'
import { indexBusyQueues, indexQueues, indexTasks } from '../worker/claim/indexes.ts'

/** One migration of our own schema. New migrations are added at the end. A released migration never changes. */
export interface Migration {
  readonly id: number
  readonly name: string
  apply(execute: Execute, own: string, engine: string): Promise<unknown>
}

/** The migrations, in order. */
export const migrations: readonly Migration[] = [
  {
    id: 1,
    name: 'register workers',
    apply: (execute, own) =>
      execute(statement`
      create table ${identifier(own)}.workers (
        id text primary key,
        lock_id integer generated always as identity unique,
        host text not null,
        pid integer not null,
        concurrency integer not null,
        started_at timestamptz not null default now(),
        beat_at timestamptz not null default now()
      )`)
  },
  { id: 2, name: 'keep a ledger', apply: createLedger },
  {
    id: 3,
    name: 'register how long runs are kept',
    apply: (execute, own) => execute(statement`alter table ${identifier(own)}.workers add column retention json`)
  },
  {
    id: 4,
    name: 'find runs by time',
    // An index on the plain column would be wrong: the server would also use it to find runs of one task and one state.
    apply: (execute, own) =>
      execute(statement`create index on ${identifier(own)}.ledger ((finished_at at time zone 'UTC'))`)
  },
  {
    id: 5,
    name: 'show progress on replicas',
    // A hot standby refuses every statement that names an unlogged table, so it would refuse the view of jobs.
    apply: (execute, own) => execute(statement`alter table ${identifier(own)}.progress set logged`)
  },
  { id: 6, name: 'count queues apart', apply: splitCounters },
  { id: 7, name: 'let the ledger be published', apply: identifyPartitions },
  {
    id: 8,
    name: 'keep how jobs ended',
    // These columns are unknown for older runs; see `IS_OVER`.
    apply: (execute, own) =>
      execute(statement`
      alter table ${identifier(own)}.ledger
        add column if not exists is_over boolean,
        add column if not exists result_problem text`)
  },
  { id: 9, name: 'register tasks', apply: createDefinitions },
  { id: 10, name: 'find busy queues', apply: (execute, _own, engine) => indexBusyQueues(execute, engine) },
  { id: 11, name: 'add recurring jobs', apply: createRecurring },
  {
    id: 12,
    name: 'find queues',
    apply: (execute, _own, engine) => indexQueues(execute, engine)
  },
  {
    id: 13,
    name: 'pause tasks and queues',
    async apply(execute, own, engine) {
      await createPauses(execute, own)
      await registerChoices(execute, own)
      await indexTasks(execute, engine)
    }
  },
  {
    id: 14,
    name: 'add limits',
    async apply(execute, own, engine) {
      await createLimits(execute, own)
      await indexLanes(execute, engine)
      await execute(statement`
        alter table ${identifier(own)}.workers add column if not exists holds_lock boolean not null default false`)
    }
  },
  {
    id: 15,
    name: 'add rates',
    async apply(execute, own, engine) {
      await createRates(execute, own)
      await createLanes(execute, own, engine)
    }
  },
  {
    id: 16,
    name: 'pause limits and keys, limit queues, and keep what is in use of limits',
    async apply(execute, own, engine) {
      await addPausesOfKeys(execute, own)
      await execute(statement`
        alter table ${identifier(own)}.recurring add column if not exists queue_slots integer`)
      await createHistory(execute, own)
      await createLanes(execute, own, engine)
    }
  }
]

/** Waits for other migrations of this database, then blocks them until the connection ends or unlocks. */
export async function lockMigrations(execute: Execute): Promise<void> {
  await execute(statement`select pg_advisory_lock(${LOCK})`)
}

/** Lets the next process migrate. */
export async function unlockMigrations(execute: Execute): Promise<void> {
  await execute(statement`select pg_advisory_unlock(${LOCK})`)
}

/** Waits for a running migration. Call this in a transaction: other migrations continue when the transaction ends. */
export async function awaitMigration(execute: Execute): Promise<void> {
  await execute(statement`select pg_advisory_xact_lock(${LOCK})`)
}

/** The installed versions of the engine's schema, our schema and our views. */
export interface Versions {
  /** The newest migration of the engine; 0 if there is none yet, `null` if the table of migrations is missing. */
  readonly engine: number | null
  /** The newest breaking migration of the engine: older versions of the engine cannot work with it. */
  readonly breaking: number | null
  /** The newest migration of our own schema; 0 if there is none yet, `null` if the table of migrations is missing. */
  readonly own: number | null
  /** The version of our views; 0 if a view is missing. */
  readonly views: number
}

/** Reads the versions of a database. This takes no lock and waits for no lock. */
export async function readVersions(execute: Execute, schema: string): Promise<Versions> {
  const own = ownSchema(schema)
  const [found] = await execute<{ engine: boolean; own: boolean; views: number }>(statement`
    select
      to_regclass(format('%I.migrations', ${schema}::text)) is not null as engine,
      to_regclass(format('%I.migrations', ${own}::text)) is not null as own,
      ${versionOfViews(own)} as views`)
  const { views = 0 } = found ?? {}
  // The row is read as JSON, because the table of an old engine has no column `breaking`.
  const engine = statement`
    select max(id) as id, max(id) filter (where (to_json(step) ->> 'breaking')::bool) as breaking
    from ${identifier(schema)}.migrations step`
  const nothing = statement`select null::int as id, null::int as breaking`
  const [row] = await execute<{ engine: number | null; breaking: number | null; own: number | null }>(statement`
    select engine.id as engine, engine.breaking, own.id as own
    from (${found?.engine ? engine : nothing}) engine,
      (${found?.own ? statement`select max(id) as id from ${identifier(own)}.migrations` : nothing}) own`)
  return {
    engine: found?.engine ? (row?.engine ?? 0) : null,
    breaking: row?.breaking ?? null,
    own: found?.own ? (row?.own ?? 0) : null,
    views
  }
}

/**
 * The newest breaking migration of the engine's schema, or `null`. Older versions of the engine cannot work with it.
 */
export async function newestBreakingMigration(execute: Execute, schema: string): Promise<number | null> {
  const [row] = await execute<{ id: number | null }>(statement`
    select max(id) as id from ${identifier(schema)}.migrations where breaking`)
  return row?.id ?? null
}

/**
 * Creates a schema if it is missing. `create schema if not exists` checks the privilege before it looks for the schema,
 * so it fails for a role that only owns the schema.
 */
export async function createSchema(execute: Execute, name: string): Promise<void> {
  const [found] = await execute(statement`select from pg_namespace where nspname = ${name}::text`)
  if (!found) await execute(statement`create schema if not exists ${identifier(name)}`)
}

/** Creates our schema and the table that lists the applied migrations. */
export async function createMigrationTable(execute: Execute, own: string): Promise<void> {
  await createSchema(execute, own)
  await execute(statement`
    create table if not exists ${identifier(own)}.migrations (
      id integer primary key,
      name text not null,
      applied_at timestamptz not null default now()
    )`)
}

/** Applies a migration and adds it to the table of migrations. Call this in a transaction. */
export async function applyMigration(
  execute: Execute,
  migration: Migration,
  own: string,
  engine: string
): Promise<void> {
  await migration.apply(execute, own, engine)
  await execute(
    statement`insert into ${identifier(own)}.migrations (id, name) values (${migration.id}::text::int, ${migration.name}::text)`
  )
}

/** Two numbers that no other use of advisory locks is likely to share: "kretes" and "migrate", shortened. */
const LOCK: Fragment = { sql: `${0x6b726574}, ${0x6d696772}` }
