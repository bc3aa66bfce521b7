import type { BackgroundClient } from '../../src/client.ts'
import type { RecurringJob } from '../../src/recurring/entry.ts'
import type { Output } from '../context.ts'
import { fields } from '../terminal/fields.ts'
import { loadWording } from './recurrence.ts'
import { exactTime } from './times.ts'

/** Prints a recurring job that was changed: a line for what happened, and the properties that matter then. */
export async function printEntry(
  job: RecurringJob,
  title: string,
  json: boolean,
  background: BackgroundClient,
  output: Output
): Promise<void> {
  if (json) return output.json(job)
  const inWords = await loadWording()
  const rows: [string, string][] = [
    ['name', job.name],
    ['task', job.task],
    ['when', inWords(job)]
  ]
  const isGone = title === 'Removed'
  if (!isGone) rows.push(['next', describeNext(job, await readClock(background))])
  output.line(`${title}\n${fields(rows, output.style, { indent: '  ', width: output.width })}`)
}

/** The next occurrence, or why there is none. */
export function describeNext({ isPaused, nextAt }: RecurringJob, now: Date): string {
  if (isPaused) return 'none while it is paused'
  return nextAt ? exactTime(nextAt, now) : 'none: it has ended'
}

/** The time of the database. */
export async function readClock(background: BackgroundClient): Promise<Date> {
  return (await background.recurring.list({ limit: 1 })).at
}
