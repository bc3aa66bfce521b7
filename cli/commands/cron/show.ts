import type { Occurrence } from '../../../src/cron/preview.ts'
import type { RecurringJob } from '../../../src/recurring/entry.ts'
import { counted } from '../../../src/text/amounts.ts'
import { defineCommand } from '../../command.ts'
import type { Output } from '../../context.ts'
import { withBackground } from '../../database.ts'
import { databaseUrl, flag } from '../../input/options.ts'
import { explainMisuse } from '../../input/usage-error.ts'
import { exactLength, loadWording, type Wording } from '../../output/recurrence.ts'
import { readClock } from '../../output/recurring.ts'
import { exactTime } from '../../output/times.ts'
import { fields } from '../../terminal/fields.ts'
import { sanitize } from '../../terminal/sanitize.ts'
import { table } from '../../terminal/table.ts'
import { occurrenceColumns } from './preview.ts'
import { requireEntry } from './require.ts'

/** `kretes background cron show`: shows everything about one recurring job. */
export const show = defineCommand({
  usage: 'show <name>',
  summary: 'Show everything about one recurring job',
  options: { json: flag('--json', 'Print the recurring job as JSON'), databaseUrl },
  examples: program => [`  $ ${program} show digest:42`],

  async run({ words: [name = ''], options }, context) {
    const { output } = context
    await withBackground(options, context, async background => {
      const job = await requireEntry(background, 'show', name).catch(explainMisuse)
      if (options.json) return output.json(job)
      const next = await background.recurring.preview(name, SHOWN)
      const now = await readClock(background)
      output.line(describe(job, next, now, await loadWording(), output))
    })
    return 0
  }
})

function describe(job: RecurringJob, next: readonly Occurrence[], now: Date, inWords: Wording, output: Output): string {
  const { style, width } = output
  const sections = [fields(toRows(job, now, inWords), style, { width })]
  if (job.payload !== null)
    sections.push(`${style('bold', 'Payload')}\n${sanitize(JSON.stringify(job.payload, null, 2))}`)
  if (next.length > 0) {
    const title = job.isPaused ? 'Next, if it were resumed now' : 'Next'
    sections.push([style('bold', title), ...table(next, occurrenceColumns(job), output)].join('\n'))
  }
  return sections.join('\n\n')
}

function toRows(job: RecurringJob, now: Date, inWords: Wording): [string, string][] {
  const { cron, queue, missed, start, end, lastAt, lastJob, skippedAt, skipReason, source, isChanged } = job
  const rows: [string, string][] = [
    ['name', job.name],
    ['state', job.isPaused ? 'paused' : job.nextAt ? 'recurring' : 'ended'],
    ['task', job.task],
    ['when', inWords(job)]
  ]
  if (cron !== null) rows.push(['cron', cron], ['time zone', job.timeZone])
  if (start) rows.push(['start', exactTime(start, now)])
  if (end) rows.push(['end', exactTime(end, now)])
  rows.push(['missed', typeof missed === 'string' ? missed : `the latest ${missed.all}`], ['overlap', job.overlap])
  if (job.jitterMs > 0) rows.push(['jitter', `up to ${exactLength(job.jitterMs)}`])
  rows.push(
    ['queue', queue === null ? 'none: its jobs run in parallel' : queue],
    ['priority', String(job.priority)],
    ['attempts', `${job.maxAttempts} at most`],
    ['last', lastAt ? `${exactTime(lastAt, now)}${lastJob === null ? '' : `, job ${lastJob}`}` : 'never']
  )
  if (skippedAt && skipReason) {
    rows.push(['skipped', `${counted(job.skips, 'time')}, last ${exactTime(skippedAt, now)}: ${REASONS[skipReason]}`])
  }
  if (source !== null) rows.push(['declared by', `${source}${isChanged ? ', and changed since' : ''}`])
  rows.push(['set', exactTime(job.createdAt, now)], ['changed', exactTime(job.updatedAt, now)])
  return rows
}

const REASONS = {
  missed: 'no worker was running at the time',
  overlap: 'the job of an earlier occurrence had not ended'
}

/** How many occurrences are shown. */
const SHOWN = 3
