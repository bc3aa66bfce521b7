import type { BackgroundClient } from '../../src/client.ts'
import type { Job } from '../../src/job.ts'
import { isBeyond } from '../../src/sql/times.ts'
import { lengthOf } from '../../src/text/amounts.ts'
import type { Style } from '../context.ts'
import { fields } from '../terminal/fields.ts'
import { plainTime } from './times.ts'

/** Describes a job that was scheduled, one property per line. Properties with their default value are left out. */
export async function describeJob(
  job: Job,
  background: BackgroundClient,
  style: Style,
  title: string = 'Scheduled'
): Promise<string> {
  // Only the database's clock shows how long it is until then.
  const now = job.runAt > job.scheduledAt ? (await background.job(job.id).catch(() => undefined))?.at : undefined
  const waitMs = now && !isBeyond(job.runAt) ? job.runAt.getTime() - now.getTime() : 0
  const wait = waitMs < LEAST_WAIT_MS ? '' : ` (in ${lengthOf(waitMs)})`
  const rows: [string, string][] = [
    ['job', job.id],
    ['task', job.task],
    ['queue', job.queue ?? 'none: it runs in parallel'],
    ['runs at', `${plainTime(job.runAt)}${wait}`]
  ]
  if (job.priority !== 0) rows.push(['priority', String(job.priority)])
  if (job.maxAttempts !== DEFAULT_ATTEMPTS) rows.push(['attempts', `${job.maxAttempts} at most`])
  if (job.key !== null) rows.push(['key', job.key])
  return `${title}\n${fields(rows, style, { indent: '  ' })}`
}

/** The engine's. */
const DEFAULT_ATTEMPTS = 25
const LEAST_WAIT_MS = 500
