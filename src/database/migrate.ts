import type { RunnerOptions } from 'graphile-worker'
import type { Sql } from 'postgres'
import { BackgroundError } from '../errors.ts'
import { createViews, dropViews } from '../sql/ledger/views.ts'
import {
  applyMigration,
  createMigrationTable,
  lockMigrations,
  migrations,
  newestBreakingMigration,
  newestMigration,
  ping,
  unlockMigrations
} from '../sql/migrations.ts'
import { ownSchema } from '../sql/names.ts'
import { codeOf } from './failure.ts'
import { connect, type Database } from './open.ts'
import { CONNECT_TIMEOUT_MS, connectTimeout } from './session.ts'

/** What {@linkcode migrate} did. */
export interface MigrationReport {
  /** The newest step of the engine's schema. */
  readonly engine: number
  /** The newest step of our own schema, `kretes` by default; 0 before the first. */
  readonly kretes: number
  /** Whether anything had to be done. */
  readonly changed: boolean
}

/**
 * Brings the engine's schema and ours up to date. Any number of processes may do so at once: one works, the others wait
 * and find it done.
 *
 * @throws {BackgroundError} `DATABASE_NEWER` if a newer version has migrated the database further than this one knows
 */
export async function migrate(database: Database, schema: string): Promise<MigrationReport> {
  const lost = Promise.withResolvers<never>()
  lost.promise.catch(() => {})
  const onClose = (): void =>
    lost.reject(Object.assign(new Error('The connection closed'), { code: 'CONNECTION_CLOSED' }))
  const pool = database.client ?? connect(database, { max: 1, name: 'kretes migrate', fetchTypes: true, onClose })
  try {
    // To a statement on a connection that was set aside and has closed, the driver never answers.
    return await Promise.race([migrateAlone(pool, schema), lost.promise])
  } finally {
    if (!database.client) await pool.end({ timeout: 1 })
  }
}

/**
 * Refuses an engine's schema that a newer version has changed so that this one's engine cannot live with it.
 *
 * @throws {BackgroundError} `DATABASE_NEWER` if so
 */
export async function refuseNewerEngine(sql: Sql, schema: string): Promise<void> {
  refuseNewer(schema, await newestBreakingMigration(sql, schema), NEWEST_OF_ENGINE)
}

/**
 * Whether a statement may have failed because the schema is not there yet, lacks what we call, or is being migrated by
 * somebody else this very moment. If so, it is worth another try after {@linkcode migrate}, which waits for the other.
 */
export function isSchemaMissing(error: unknown): boolean {
  return UNREADY_CODES.has(codeOf(error) ?? '')
}

async function migrateAlone(pool: Sql, schema: string): Promise<MigrationReport> {
  // A session lock and what it guards must share a session, so one connection is set aside. The driver never sets one
  // aside that is new and fetches no types (postgres 3.4.9), so types are fetched above, and here it is not new.
  await reach(pool)
  const session = await pool.reserve()
  try {
    await lockMigrations(session)
    try {
      return await withoutDeadlock(() => migrateLocked(session, schema))
    } finally {
      await unlockMigrations(session)
    }
  } finally {
    session.release()
  }
}

async function migrateLocked(session: Sql, schema: string): Promise<MigrationReport> {
  const own = ownSchema(schema)
  const before = { engine: await newestMigration(session, schema), kretes: await newestMigration(session, own) }
  refuseNewer(own, before.kretes, NEWEST)
  if (before.engine === null || before.engine < NEWEST_OF_ENGINE) {
    // A view on a table would keep the engine from changing it.
    await dropViews(session, own)
    await migrateEngine(session, schema)
  } else await refuseNewerEngine(session, schema)
  if (before.kretes === null) await createMigrationTable(session, own)
  const missing = migrations.filter(({ id }) => id > (before.kretes ?? 0))
  for (const migration of missing) await applyMigration(session, migration, own)
  const engine = (await newestMigration(session, schema)) ?? 0
  const changed = engine !== before.engine || before.kretes === null || missing.length > 0
  if (changed) await createViews(session, own, schema)
  return { engine, kretes: NEWEST, changed }
}

/** The driver tries for ever where somebody takes connections and closes them, as a proxy without a server does. */
async function reach(pool: Sql): Promise<void> {
  const { promise: late, reject } = Promise.withResolvers<never>()
  const deadline = setTimeout(() => reject(connectTimeout()), CONNECT_TIMEOUT_MS)
  await Promise.race([ping(pool), late]).finally(() => clearTimeout(deadline))
}

/** Whoever schedules while the tables change may lock them in another order; the database then ends one of the two. */
async function withoutDeadlock<Result>(work: () => Promise<Result>): Promise<Result> {
  for (let failures = 1; ; failures++) {
    try {
      return await work()
    } catch (error) {
      if (codeOf(error) !== DEADLOCK || failures === MAX_DEADLOCKS) throw error
    }
  }
}

function refuseNewer(schema: string, found: number | null, known: number): void {
  if (found === null || found <= known) return
  throw new BackgroundError(
    'DATABASE_NEWER',
    `Cannot use the schema ${schema}: it is at version ${found}, and this version of kretes knows it up to ${known}. Update kretes here`
  )
}

/** Runs the engine's own migrations on the session that holds the lock, so that it needs no connection of its own. */
async function migrateEngine(session: Sql, schema: string): Promise<void> {
  const { runMigrations, Logger } = await import('graphile-worker')
  const query = async (statement: string | { text: string; values: never[] }, parameters?: never[]) => {
    const { text, values } = typeof statement === 'string' ? { text: statement, values: parameters } : statement
    return { rows: await session.unsafe(text, values) }
  }
  const client = { query, release() {} }
  const pgPool = { options: { max: 1 }, connect: async () => client, listeners: () => [() => {}] }
  await runMigrations({
    pgPool: pgPool as unknown as NonNullable<RunnerOptions['pgPool']>,
    schema,
    logger: new Logger(() => () => {})
  })
}

const DEADLOCK = '40P01'
const MAX_DEADLOCKS = 10

const UNREADY_CODES = new Set([
  '3F000', // no such schema
  '42P01', // no such table
  '42703', // no such column
  '42704', // no such type
  '42883', // no such function
  '42804', // a function that returns other columns than a moment ago
  '0A000', // a statement whose result has other columns than when it was prepared
  'XX000', // a table or function that went while the statement used it
  DEADLOCK
])

/** The newest step of our own schema. */
export const NEWEST: number = migrations.at(-1)?.id ?? 0

/** The newest migration that graphile-worker 0.18 brings; a test holds it against a fresh database. */
export const NEWEST_OF_ENGINE = 20
