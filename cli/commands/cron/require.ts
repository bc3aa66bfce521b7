import type { BackgroundClient } from '../../../src/client.ts'
import { BackgroundError } from '../../../src/errors.ts'
import type { RecurringJob } from '../../../src/recurring/entry.ts'
import { didYouMean, nearMatches } from '../../input/usage-error.ts'

/** Reads a recurring job that must exist. */
export async function requireEntry(background: BackgroundClient, verb: string, name: string): Promise<RecurringJob> {
  const found = await background.recurring.get(name)
  if (found) return found
  const { entries } = await background.recurring.list({ limit: 1_000 })
  const near = didYouMean(
    nearMatches(
      name,
      entries.map(entry => entry.name)
    )
  )
  throw new BackgroundError(
    'NO_RECURRING_JOB',
    `Cannot ${verb} the recurring job ${JSON.stringify(name)}: there is none${near}`
  )
}
