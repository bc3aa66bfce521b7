/** The flag of a job that is not to run any more. */
export const CANCELLED = 'kretes:cancelled'

/**
 * The schema of our own tables beside an engine's. Jobs of two engine schemas share their numbers, so each has a ledger
 * of its own.
 */
export function ownSchema(engineSchema: string): string {
  return engineSchema === 'graphile_worker' ? 'kretes' : `kretes_${engineSchema}`
}
