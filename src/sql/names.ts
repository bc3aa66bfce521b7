import type { Fragment } from './statement.ts'

/** The flag of a job that is not to run any more; when it was cancelled is its value. */
export const CANCELLED = 'kretes:cancelled'

/** How flags begin that are our own marks. In a call they are refused. */
export const OWN_FLAGS = 'kretes:'

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
  return engineSchema === 'graphile_worker' ? 'kretes' : `kretes_${engineSchema}`
}
