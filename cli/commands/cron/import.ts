import { Queue } from '../../../src/queue.ts'
import type { RecurringOptions } from '../../../src/recurring/options.ts'
import { counted } from '../../../src/text/amounts.ts'
import { isTaskName } from '../../../src/text/task-name.ts'
import type { CrontabItem } from '../../../src/worker/engine/crontab.ts'
import { defineCommand } from '../../command.ts'
import type { Output } from '../../context.ts'
import { withBackground } from '../../database.ts'
import { openSource, readText } from '../../input/file.ts'
import { databaseUrl, flag } from '../../input/options.ts'
import { explainMisuse, UsageError } from '../../input/usage-error.ts'
import { loadWording } from '../../output/recurrence.ts'
import { table } from '../../terminal/table.ts'

/** `kretes background cron import`: sets recurring jobs from a crontab in the format of graphile-worker. */
export const importCrontab = defineCommand({
  usage: 'import <crontab>',
  summary: 'Set recurring jobs from a crontab of graphile-worker, a file or - for standard input',
  options: {
    dryRun: flag('--dry-run', 'Show what would be set, and set nothing'),
    json: flag('--json', 'Print the recurring jobs as JSON'),
    databaseUrl
  },
  examples: program => [`  $ ${program} import crontab --dry-run`],

  async run({ words: [file = ''], options }, context) {
    const { output, stop } = context
    const source = openSource(file, stop)
    const jobs = await readJobs(source.label, await readText(source))
    for (const { line, notes } of jobs) for (const note of notes) output.notice(`line ${line}: ${note}`)
    if (!options.dryRun) {
      await withBackground(options, context, async ({ recurring }) => {
        for (const { name, request } of jobs) await recurring.set(name, request).catch(explainMisuse)
      })
    }
    if (options.json) output.json(jobs.map(({ name, request }) => ({ name, ...request })))
    else await print(jobs, output)
    output.notice(`${options.dryRun ? 'Would set' : 'Set'} ${counted(jobs.length, 'recurring job')}`)
    return 0
  }
})

/** A recurring job to set. */
interface ImportedJob {
  readonly line: number
  readonly name: string
  readonly request: RecurringOptions & { readonly cron: string; readonly task: string }
  /** What becomes different. */
  readonly notes: readonly string[]
}

/**
 * Reads a crontab.
 *
 * @throws {UsageError} with a line for each problem
 */
async function readJobs(label: string, text: string): Promise<ImportedJob[]> {
  const { readCrontab } = await import('../../../src/worker/engine/crontab.ts')
  const { items, problems } = await readCrontab(text)
  const jobs = items.map(toJob)
  for (const { line, request } of jobs) {
    if (!isTaskName(request.task))
      problems.push(`line ${line}: ${request.task} is no name for a task, such as SendReport`)
  }
  for (const [index, { line, name }] of jobs.entries()) {
    const first = jobs.slice(0, index).find(job => job.name === name)
    if (first)
      problems.push(`line ${line}: its name is ${name}, as is that of line ${first.line}. Add an id, as in ?id=other`)
  }
  if (problems.length === 0) return jobs
  const sorted = problems.toSorted((left, right) => lineOf(left) - lineOf(right))
  throw new UsageError(
    [`Cannot import ${label}: ${counted(sorted.length, 'problem')}`, ...sorted.map(indent)].join('\n')
  )
}

function toJob({
  line,
  cron,
  task: given,
  id,
  payload,
  queue,
  priority,
  maxAttempts,
  ...item
}: CrontabItem): ImportedJob {
  const task = toTaskName(given)
  const notes = task === given ? [] : [`the task ${given} becomes ${task}`]
  if (item.hasKey) notes.push('its job key is left out: recurring jobs have none')
  return {
    line,
    name: id === given ? task : id,
    notes,
    // The engine makes up for missed occurrences only if it is told to, and does not look at earlier jobs.
    request: {
      task,
      cron,
      payload,
      missed: item.isBackfilled ? { all: MOST_MISSED } : 'skip',
      overlap: 'allow',
      ...(queue !== undefined && { queue: Queue.for(queue) }),
      ...(priority !== undefined && { priority }),
      ...(maxAttempts !== undefined && { maxAttempts })
    }
  }
}

/** `SendReport` for `send_report`, `send-report` or `sendReport`. */
function toTaskName(name: string): string {
  if (isTaskName(name)) return name
  return name
    .split(/[^\p{L}\p{N}]+/u)
    .map(word => word.charAt(0).toUpperCase() + word.slice(1))
    .join('')
}

async function print(jobs: readonly ImportedJob[], output: Output): Promise<void> {
  const wording = await loadWording()
  const columns = [
    { title: 'NAME', least: 12, cell: ({ name }: ImportedJob) => name },
    { title: 'TASK', least: 8, cell: ({ request }: ImportedJob) => request.task },
    {
      title: 'RECURS',
      least: 12,
      cell: ({ request }: ImportedJob) => wording({ cron: request.cron, everyMs: null, timeZone: 'UTC' })
    }
  ]
  if (jobs.length > 0) output.line(table(jobs, columns, output).join('\n'))
}

function lineOf(problem: string): number {
  return Number(/^line (\d+)/.exec(problem)?.[1])
}

function indent(line: string): string {
  return `  ${line}`
}

const MOST_MISSED = 1_000
