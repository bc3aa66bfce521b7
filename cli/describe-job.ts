import type { Job } from '../src/job.ts'
import type { JobOptions } from '../src/schedule.ts'
import { isBeyond } from '../src/sql/times.ts'
import type { Style } from './context.ts'
import { exactTime } from './moments.ts'
import { pairs } from './output.ts'

/** A job that was scheduled, a line for each thing to know of it; what nobody asked for and is as ever is left out. */
export function describeJob(
  job: Job,
  { runAt, delay, key }: JobOptions,
  style: Style,
  title: string = 'Scheduled'
): string {
  const isTimed = runAt !== undefined || delay !== undefined || key !== undefined
  const wait = isTimed ? describeWait(job.runAt.getTime() - Date.now()) : ''
  const rows: [string, string][] = [
    ['job', job.id],
    ['task', job.task],
    ['queue', job.queue ?? 'none: it runs in parallel'],
    ['runs at', isBeyond(job.runAt) ? exactTime(job.runAt) : `${job.runAt.toISOString()}${wait}`]
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
  return ` (${WORDS.format(amount, unit)})`
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
const WORDS = new Intl.RelativeTimeFormat('en')
