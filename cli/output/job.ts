import type { BackgroundClient } from '../../src/client.ts'
import type { Job } from '../../src/job.ts'
import { isBeyond } from '../../src/sql/times.ts'
import type { Style } from '../context.ts'
import { pairs } from '../terminal/streams.ts'
import { plainTime } from './times.ts'

/** A job that was scheduled, a line for each thing to know of it; what nobody asked for and is as ever is left out. */
export async function describeJob(
  job: Job,
  background: BackgroundClient,
  style: Style,
  title: string = 'Scheduled'
): Promise<string> {
  // For how long, the database's clock tells.
  const now = job.runAt > job.scheduledAt ? (await background.job(job.id).catch(() => undefined))?.at : undefined
  const wait = now && !isBeyond(job.runAt) ? describeWait(job.runAt.getTime() - now.getTime()) : ''
  const rows: [string, string][] = [
    ['job', job.id],
    ['task', job.task],
    ['queue', job.queue ?? 'none: it runs in parallel'],
    ['runs at', `${plainTime(job.runAt)}${wait}`]
  ]
  if (job.priority !== 0) rows.push(['priority', String(job.priority)])
  if (job.maxAttempts !== DEFAULT_ATTEMPTS) rows.push(['attempts', `${job.maxAttempts} at most`])
  if (job.key !== null) rows.push(['key', job.key])
  return `${title}\n${pairs(rows, style, { indent: '  ' })}`
}

/** ` (in 5 minutes)`; nothing for a time that has come. */
function describeWait(ms: number): string {
  if (ms < 500) return ''
  const [unit, length] = UNITS.find(([, length]) => ms >= length * ALMOST) ?? (['second', 1_000] as const)
  const amount = unit === 'second' ? Math.round(ms / length) : Math.round((ms / length) * 10) / 10
  return ` (${words().format(amount, unit)})`
}

/** The engine's. */
const DEFAULT_ATTEMPTS = 25

const UNITS = [
  ['day', 86_400_000],
  ['hour', 3_600_000],
  ['minute', 60_000]
] as const
/** A moment has passed since the job was given an hour. */
const ALMOST = 0.99
/** Made when it is needed: that takes long. */
const words = (): Intl.RelativeTimeFormat => (formatter ??= new Intl.RelativeTimeFormat('en'))
let formatter: Intl.RelativeTimeFormat | undefined
