import type { Fragment } from './statement.ts'

/** The flag of a job that is not to run any more; when it was cancelled is its value. */
export const CANCELLED = 'kretes:cancelled'

/**
 * Whether flags carry the mark {@linkcode CANCELLED}. SQL can name a flag like it: `add_job` then writes `true`, which
 * is no mark of ours.
 *
 * @param flags the column
 */
export function isCancelled(flags: string): Fragment {
  return { sql: `coalesce(jsonb_typeof(${flags} -> '${CANCELLED}') = 'string', false)` }
}

/** The flag of a job that has failed for good with attempts left: how many there were. */
export const ATTEMPTS = 'kretes:attempts'

/**
 * The schema of our own tables beside an engine's. Jobs of two engine schemas share their numbers, so each has a ledger
 * of its own.
 */
export function ownSchema(engineSchema: string): string {
  if (engineSchema === 'graphile_worker') return 'kretes'
  const name = `kretes_${engineSchema}`
  // PostgreSQL cuts longer names, which would then be the same for schemas that differ at their end only.
  if (new TextEncoder().encode(name).length <= MOST_BYTES) return name
  const beginning = name.replaceAll(/[^\x20-\x7e]/g, '_').slice(0, MOST_BYTES - 17)
  return `${beginning}_${hashOf(name, 0x811c9dc5)}${hashOf(name, 0x9e3779b9)}`
}

/** Eight digits that tell texts apart. */
function hashOf(text: string, start: number): string {
  let hash = start
  for (const letter of text) hash = Math.imul(hash ^ letter.codePointAt(0)!, 0x01000193)
  return (hash >>> 0).toString(16).padStart(8, '0')
}

/** Of a name in PostgreSQL. */
const MOST_BYTES = 63
