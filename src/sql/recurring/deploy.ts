import { ownSchema } from '../names.ts'
import { type Execute, identifier, type Statement, statement, textArray } from '../statement.ts'
import { DEFINITION, given, type Planned, REDEFINED } from './entries.ts'
import { table } from './row.ts'

/** A version of a program that declares recurring jobs. */
export interface Version {
  /** The program. */
  readonly source: string
  /** A hash of what it declares. */
  readonly fingerprint: string
}

/** Whether a program has ever declared recurring jobs. This is all that a worker without any asks. */
export async function hasDeclared(execute: Execute, schema: string, source: string): Promise<boolean> {
  const [row] = await execute<{ known: boolean }>(statement`
    select exists (select from ${versions(schema)} where source = ${source}::text) as known`)
  return row!.known
}

/** Makes other workers that declare recurring jobs wait until the transaction ends. */
export async function lockVersions(execute: Execute, schema: string): Promise<void> {
  await execute(statement`lock table ${versions(schema)} in share row exclusive mode`)
}

/**
 * Registers a version. A version that was never seen before is the newest.
 *
 * @returns the fingerprints of newer versions
 */
export async function registerVersion(execute: Execute, schema: string, version: Version): Promise<string[]> {
  const { source, fingerprint } = version
  await execute(statement`
    insert into ${versions(schema)} (source, fingerprint) values (${source}::text, ${fingerprint}::text)
    on conflict do nothing`)
  const rows = await execute<{ fingerprint: string }>(statement`
    select newer.fingerprint
    from ${versions(schema)} own join ${versions(schema)} newer on newer.source = own.source and newer.since > own.since
    where own.source = ${source}::text and own.fingerprint = ${fingerprint}::text`)
  return rows.map(row => row.fingerprint)
}

/** Whether a live worker has one of these versions. */
export async function isInUse(
  execute: Execute,
  schema: string,
  source: string,
  fingerprints: readonly string[]
): Promise<boolean> {
  const [row] = await execute<{ used: boolean }>(statement`
    select exists (
      select from ${identifier(ownSchema(schema))}.workers
      where source = ${source}::text and version = any(${textArray(fingerprints)}::text::text[])
    ) as used`)
  return row!.used
}

/** Makes a version the newest one. */
export async function renewVersion(execute: Execute, schema: string, version: Version): Promise<void> {
  await execute(statement`
    update ${versions(schema)} set since = clock_timestamp()
    where source = ${version.source}::text and fingerprint = ${version.fingerprint}::text`)
}

/**
 * Writes the recurring jobs that the newest version of a program declares, and removes those that it declares no more.
 * One that was changed or removed by hand stays so; it only learns its definition in the code. A newer version of another
 * program, which declares the same name, wins.
 */
export async function declareEntries(
  execute: Execute,
  schema: string,
  version: Version,
  definitions: readonly Planned[]
): Promise<void> {
  const recurring = table({ schema })
  const since = sinceOf(schema, version)
  await execute(statement`
    with given as materialized (${given(definitions)})
    insert into ${recurring} as recurring (name, ${DEFINITION}, next_at, source, version_at, code)
    select name, ${DEFINITION}, next_at, ${version.source}::text, ${since}, code from given
    on conflict (name) do update set
      ${REDEFINED}, source = excluded.source, version_at = excluded.version_at, code = excluded.code
    where recurring.changed_at is null and recurring.removed_at is null
      and coalesce(recurring.version_at, '-infinity') <= excluded.version_at`)
  await execute(statement`
    with given as materialized (${given(definitions)})
    update ${recurring} recurring set source = ${version.source}::text, version_at = ${since}, code = given.code
    from given
    where recurring.name = given.name and (recurring.changed_at is not null or recurring.removed_at is not null)
      and coalesce(recurring.version_at, '-infinity') <= ${since}`)
  const gone = statement`
    source = ${version.source}::text and version_at <= ${since}
      and name <> all(${textArray(definitions.map(({ name }) => name))}::text::text[])`
  await execute(statement`
    delete from ${recurring} where ${gone} and (changed_at is null or removed_at is not null)`)
  // One that was changed by hand lives on as if a call had set it.
  await execute(statement`
    update ${recurring} set source = null, version_at = null, code = null, changed_at = null where ${gone}`)
}

function sinceOf(schema: string, { source, fingerprint }: Version): Statement {
  return statement`(
      select since from ${versions(schema)} where source = ${source}::text and fingerprint = ${fingerprint}::text
    )`
}

function versions(schema: string) {
  return { sql: `${identifier(ownSchema(schema)).sql}.recurring_versions` }
}
