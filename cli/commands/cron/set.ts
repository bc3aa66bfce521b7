import { toInstant } from '../../../src/check/times.ts'
import { compileCron } from '../../../src/cron/expression.ts'
import { checkTimeZone } from '../../../src/cron/zone.ts'
import { checkName, type RecurringOptions } from '../../../src/recurring/options.ts'
import { defineCommand } from '../../command.ts'
import { withBackground } from '../../database.ts'
import { findTask } from '../../find-task.ts'
import { checked, jobOptions } from '../../input/job-options.ts'
import { choice, databaseUrl, duration, flag, option, tasks, toNumber } from '../../input/options.ts'
import { readPayload } from '../../input/payload.ts'
import { explainMisuse, explainPayload, UsageError } from '../../input/usage-error.ts'
import { printEntry } from '../../output/recurring.ts'

/** `kretes background cron set`: creates or replaces a recurring job. */
export const set = defineCommand({
  usage: 'set <name> <task> [payload]',
  summary: 'Create or replace a recurring job; the payload is a JSON object, @file, or - for standard input',
  options: {
    cron: checked('--cron <expression>', "When: a cron expression such as '0 9 * * 1-5', or @daily", cron => {
      compileCron(cron, 'UTC', '')
      return cron
    }),
    every: duration('--every <duration>', 'When: an interval such as 15m or 6h'),
    timeZone: checked('--time-zone <zone>', 'The zone of --cron, such as Europe/Berlin (default: UTC)', zone => {
      checkTimeZone(zone, '')
      return zone
    }),
    missed: option(
      '--missed <policy>',
      'Of occurrences without a running worker: once, skip, or how many of the latest to schedule (default: once)',
      toMissed
    ),
    overlap: choice(
      '--overlap <policy>',
      'While an earlier job has not ended: skip, queue or allow (default: skip; with --missed <number>, queue)',
      ['skip', 'queue', 'allow'] as const
    ),
    jitter: duration('--jitter <duration>', 'Delay each job by a random time up to this (default: 0s)'),
    start: checked('--start <time>', 'The first moment for an occurrence (default: now)', toMoment('start')),
    end: checked('--end <time>', 'The last moment for an occurrence (default: none)', toMoment('end')),
    queue: jobOptions.queue,
    priority: jobOptions.priority,
    maxAttempts: jobOptions.maxAttempts,
    force: flag('--force', 'Set it by the name of the task only, even without a task file'),
    json: flag('--json', 'Print the recurring job as JSON'),
    tasks,
    databaseUrl
  },
  examples: program => [
    `  $ ${program} set report SendReport --cron '0 9 * * 1-5' --time-zone Europe/Berlin`,
    `  $ ${program} set digest:42 SendDigest '{ "user": 42 }' --every 6h`
  ],

  async run({ words, options }, context) {
    const [name = '', taskName = '', word] = words
    const { force: _force, json, tasks: _tasks, databaseUrl: _url, ...recurrence } = options
    try {
      checkName(name)
    } catch (error) {
      explainMisuse(error)
    }
    if (options.cron === undefined && options.every === undefined) {
      throw new UsageError(`Cannot set ${name}: it has no time. Give --cron or --every`)
    }
    if (options.cron !== undefined && options.every !== undefined) {
      throw new UsageError(`Cannot set ${name}: --cron and --every are both given. Give one of them`)
    }
    if (options.every !== undefined && options.timeZone !== undefined) {
      throw new UsageError('Cannot read --time-zone: it is for --cron, and --every is the same in all zones')
    }
    const task = await findTask(taskName, options, context)
    const payload = await readPayload(taskName, word, context.stop)
    const definition = { ...recurrence, task, payload } as RecurringOptions
    await withBackground(options, context, async background => {
      const job = await background.recurring.set(name, definition).catch(explainPayload).catch(explainMisuse)
      await printEntry(job, 'Set', json, background, context.output)
    })
    return 0
  }
})

function toMissed(value: string, spelling: string): 'once' | 'skip' | { all: number } {
  if (value === 'once' || value === 'skip') return value
  if (/^\d+$/.test(value)) return { all: toNumber(value, spelling, [1, 1_000], true) }
  throw new UsageError(
    `Cannot read ${spelling}: ${JSON.stringify(value)} is none of once, skip or a whole number from 1 to 1000`
  )
}

function toMoment(name: string): (value: string) => string {
  return value => toInstant(value, '', name)
}
