import type { RunnerOptions } from 'graphile-worker'
import { afterTicks } from '../async/ticks.ts'
import { BackgroundError } from '../errors.ts'
import { connectionTimings } from '../rules/timings.ts'
import {
  applyMigration,
  awaitMigration,
  createMigrationTable,
  createSchema,
  lockMigrations,
  migrations,
  newestBreakingMigration,
  readVersions,
  unlockMigrations,
  type Versions
} from '../sql/database/migrations.ts'
import { MIGRATION_SETTINGS } from '../sql/database/settings.ts'
import { createViews, dropViews, NEWEST_VIEWS } from '../sql/ledger/views.ts'
import { ownSchema } from '../sql/names.ts'
import { type Execute, identifier, parametersOf } from '../sql/statement.ts'
import { connectTimeout } from './connections/connection.ts'
import { untilNoConflict } from './connections/repeat.ts'
import { executeIn, openSession, type Session } from './connections/session.ts'
import { atomically } from './connections/transaction.ts'
import { explainFailure, isOutcomeUnknown } from './failure.ts'
import { loadWithHome } from './home-directory.ts'
import { connect, type Database } from './open.ts'

/** The result of {@linkcode migrate}. */
export interface MigrationReport {
  /** The newest migration of the engine's schema. */
  readonly engine: number
  /** The newest migration of our own schema, `kretes` by default; 0 before the first. */
  readonly kretes: number
  /** Whether this call changed anything. */
  readonly hasChanged: boolean
}

/**
 * Brings the engine's schema and ours up to date. Any number of processes may do so at the same time: one works, the
 * others wait and find it done. Where nothing is to be done, no process waits and no lock is taken.
 *
 * @throws {BackgroundError} `DATABASE_NEWER` if a newer version has migrated the database further than this one knows;
 *   `DATABASE_UNAVAILABLE` if the connection was lost; another call then finishes the migration
 */
export async function migrate(
  database: Database,
  schema: string,
  { mayInstall = true }: { mayInstall?: boolean } = {}
): Promise<MigrationReport> {
  const { client } = database
  return await explained(database, async () => {
    const found = client && (await inTime(look(executeIn(client), schema)))
    if (found && isCurrent(found)) return toReport(found, false)
    return await inSession(database, async session => {
      const found = mayInstall ? null : await look(session.execute, schema)
      if (found?.engine === null) throw unready(database, 'wait for a job', found)
      return await migrateIn(session, schema)
    })
  })
}

/**
 * Checks that the schema exists and is up to date. Changes nothing, but waits for a migration that is under way.
 *
 * @param doing the action that needs the schema, as in `list jobs`
 * @throws {BackgroundError} `MIGRATION` if it is missing or out of date
 */
export async function requireSchema(database: Database, schema: string, doing: string): Promise<void> {
  const found = await explained(database, () =>
    inSession(database, session =>
      // In a transaction, since a pooler might never release a session's lock.
      atomically(session, async execute => {
        await awaitMigration(execute)
        return await look(execute, schema)
      })
    )
  )
  if (isCurrent(found)) return
  throw unready(database, doing, found)
}

/**
 * Refuses an engine's schema that a newer version has changed in a way that this version's engine cannot work with.
 *
 * @throws {BackgroundError} `DATABASE_NEWER` if so
 */
export async function refuseNewerEngine(execute: Execute, schema: string): Promise<void> {
  refuseNewer(schema, await newestBreakingMigration(execute, schema), NEWEST_OF_ENGINE)
}

function unready({ label }: Database, doing: string, { engine }: Versions): BackgroundError {
  const state = engine === null ? `kretes is not installed in ${label}` : `the schema in ${label} is out of date`
  return new BackgroundError(
    'MIGRATION',
    `Cannot ${doing}: ${state}. Run \`kretes background migrate\`, or start a worker: it migrates, too`
  )
}

async function explained<Result>({ label }: Database, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work()
  } catch (error) {
    // The migration may be partly done, but the call that needed it has certainly done nothing yet.
    throw isOutcomeUnknown(error) ? explainFailure(error, 'migrate the database', label) : error
  }
}

async function inSession<Result>(database: Database, work: (session: Session) => Promise<Result>): Promise<Result> {
  const template = database.client ?? connect(database, { max: 1, name: 'kretes migrate' })
  // Each statement runs once, and a pooler may not support named prepared statements.
  const session = openSession(template, { name: 'kretes migrate', prepare: false, settings: MIGRATION_SETTINGS })
  try {
    return await work(session)
  } finally {
    await session.end()
  }
}

async function migrateIn(session: Session, schema: string): Promise<MigrationReport> {
  const { execute } = session
  const found = await look(execute, schema)
  if (isCurrent(found)) return toReport(found, false)
  await lockMigrations(execute)
  const before = await look(execute, schema)
  const isBehind = !isCurrent(before)
  if (isBehind) await untilNoConflict(() => bringUp(session, schema))
  const report = toReport(isBehind ? await look(execute, schema) : before, isBehind)
  // After an error, the end of the session releases the lock.
  await unlockMigrations(execute)
  return report
}

/** Does the steps that are left, also of a migration that another process began. */
async function bringUp(session: Session, schema: string): Promise<void> {
  const { execute } = session
  const own = ownSchema(schema)
  const before = await look(execute, schema)
  const hasOldEngine = isEngineOld(before)
  if (hasOldEngine) {
    // The engine cannot change a table that a view uses.
    await atomically(session, () => dropViews(execute, own))
    await createSchema(execute, schema)
    await migrateEngine(execute, schema)
  }
  if (before.own === null) await createMigrationTable(execute, own)
  for (const migration of migrations) {
    if (migration.id > (before.own ?? 0))
      await atomically(session, () => applyMigration(execute, migration, own, schema))
  }
  if (hasOldEngine || areViewsOld(before)) await atomically(session, () => createViews(execute, own, schema))
}

async function look(execute: Execute, schema: string): Promise<Versions> {
  const versions = await readVersions(execute, schema)
  refuseNewer(ownSchema(schema), versions.own, NEWEST)
  refuseNewer(schema, versions.breaking, NEWEST_OF_ENGINE)
  return versions
}

function isCurrent(versions: Versions): boolean {
  return !isEngineOld(versions) && (versions.own ?? 0) >= NEWEST && !areViewsOld(versions)
}

function isEngineOld({ engine }: Versions): boolean {
  return (engine ?? 0) < NEWEST_OF_ENGINE
}

/** Whether the views are missing, or of an older version. */
export function areViewsOld({ views }: Versions): boolean {
  return views < NEWEST_VIEWS
}

function toReport({ engine, own }: Versions, hasChanged: boolean): MigrationReport {
  return { engine: engine ?? 0, kretes: own ?? 0, hasChanged }
}

/** The caller's client retries for ever where connections are accepted and closed. */
async function inTime<Result>(work: Promise<Result>): Promise<Result> {
  const { promise: late, reject } = Promise.withResolvers<never>()
  const deadline = afterTicks(connectionTimings.connectTicks, () => reject(connectTimeout()))
  return await Promise.race([work, late]).finally(() => clearInterval(deadline))
}

function refuseNewer(schema: string, found: number | null, known: number): void {
  if (found === null || found <= known) return
  throw new BackgroundError(
    'DATABASE_NEWER',
    `Cannot use the schema ${schema}: it is at version ${found}, and this version of kretes knows it up to ${known}. Update kretes here`
  )
}

/** Runs the engine's own migrations on the session that holds the lock, so that it needs no connection of its own. */
async function migrateEngine(execute: Execute, schema: string): Promise<void> {
  const { runMigrations, Logger } = await loadWithHome(() => import('graphile-worker'))
  const query = async (statement: string | { text: string; values?: unknown[] }, parameters?: unknown[]) => {
    const { text: given, values } = typeof statement === 'string' ? { text: statement, values: parameters } : statement
    // The schema exists. A user may own it without the privilege to create one.
    const text = given.replace(`create schema if not exists ${identifier(schema).sql};`, '')
    return { rows: await execute({ text, values: parametersOf(values ?? []) }) }
  }
  const client = { query, release() {} }
  const pgPool = { options: { max: 1 }, connect: async () => client, listeners: () => [() => {}] }
  await runMigrations({
    pgPool: pgPool as unknown as NonNullable<RunnerOptions['pgPool']>,
    schema,
    logger: new Logger(() => () => {})
  })
}

/** The newest migration of our own schema. */
export const NEWEST: number = migrations.at(-1)?.id ?? 0

/** The newest migration of graphile-worker 0.18. A test checks this against a new database. */
export const NEWEST_OF_ENGINE = 20
