import { LANE, LIMITED } from '../rules/lanes.ts'
import type { Fragment } from './statement.ts'

/** The flag of a cancelled job. Its value is the time of the cancellation. */
export const CANCELLED = 'kretes:cancelled'

/**
 * Whether flags carry the mark {@linkcode CANCELLED}. SQL can pass a flag with the same name to `add_job`, which then
 * writes `true`. That value is not our mark.
 *
 * @param flags the column
 */
export function isCancelled(flags: string): Fragment {
  return { sql: `coalesce(jsonb_typeof(${flags} -> '${CANCELLED}') = 'string', false)` }
}

/** Whether a job is in no lane. */
export function isUnlimited(job: string): Fragment {
  return { sql: `(${job}.flags -> '${LIMITED}') is null` }
}

/** Whether a queue is one of the user's, and not the lane of a task. */
export function isUsers(queue: string): Fragment {
  return { sql: `left(${queue}.queue_name, ${LANE.length}) <> '${LANE}'` }
}

/** The flag of a job that has failed for good with attempts left. Its value is the number of attempts made. */
export const ATTEMPTS = 'kretes:attempts'

/**
 * The flag of a job that a recurring job has scheduled begins with this. The moment of the occurrence follows, in
 * milliseconds since 1970, then the name of the recurring job. The engine's flags have no values.
 */
export const OCCURRENCE = 'kretes:occurrence '

/** What is known of a job that a recurring job has scheduled. Both are `null` for other jobs. */
export interface OccurrenceOf {
  /** The name of the recurring job. */
  readonly schedule: string | null
  readonly occurrence: Date | null
}

/** Reads the flag {@linkcode OCCURRENCE} of a job. */
export function occurrenceOf(flags: Readonly<Record<string, unknown>> | null): OccurrenceOf {
  // Most jobs have no flags.
  if (flags === null) return NO_OCCURRENCE
  for (const flag of Object.keys(flags)) {
    const [, ms, schedule] = OCCURRENCE_FLAG.exec(flag) ?? []
    if (schedule !== undefined) return { schedule, occurrence: new Date(Number(ms)) }
  }
  return NO_OCCURRENCE
}

/** The flag {@linkcode OCCURRENCE} of a job that belongs to an occurrence; none for other jobs. */
export function occurrenceFlags({ schedule, occurrence }: OccurrenceOf = NO_OCCURRENCE): readonly string[] {
  return schedule === null || occurrence === null ? [] : [`${OCCURRENCE}${occurrence.getTime()} ${schedule}`]
}

const NO_OCCURRENCE: OccurrenceOf = { schedule: null, occurrence: null }

/**
 * SQL expressions for the name of the recurring job and the moment of the occurrence. Both are `null` for other jobs.
 *
 * @param flags the column
 */
export function occurrenceColumns(flags: string): { readonly schedule: string; readonly occurrence: string } {
  const part = (number: 1 | 2): string => `case when ${flags} is not null then (
        select (regexp_match(flag, '${OCCURRENCE_FLAG.source}'))[${number}]
        from jsonb_object_keys(${flags}) flag where flag ~ '${OCCURRENCE_FLAG.source}' limit 1
      ) end`
  return { schedule: part(2), occurrence: `to_timestamp((${part(1)})::float8 / 1000)` }
}

// A name may have several lines.
const OCCURRENCE_FLAG = /^kretes:occurrence (\d{1,15}) (.+)$/s

/**
 * The schema of our own tables beside the engine's schema. Job ids of two engine schemas overlap, so each schema has
 * its own ledger.
 */
export function ownSchema(engineSchema: string): string {
  if (engineSchema === 'graphile_worker') return 'kretes'
  const name = `kretes_${engineSchema}`
  // PostgreSQL truncates longer names. Two schemas that differ only at the end would then share a name.
  if (new TextEncoder().encode(name).length <= MOST_BYTES) return name
  const beginning = name.replaceAll(/[^\x20-\x7e]/g, '_').slice(0, MOST_BYTES - 17)
  return `${beginning}_${hashOf(name, 0x811c9dc5)}${hashOf(name, 0x9e3779b9)}`
}

/** A hash of a text, as eight hexadecimal digits. */
function hashOf(text: string, start: number): string {
  let hash = start
  for (const letter of text) hash = Math.imul(hash ^ letter.codePointAt(0)!, 0x01000193)
  return (hash >>> 0).toString(16).padStart(8, '0')
}

/** The maximum length of a name in PostgreSQL, in bytes. */
const MOST_BYTES = 63
