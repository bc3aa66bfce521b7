import { setTimeout as sleep } from 'node:timers/promises'
import type { BackgroundClient } from '../../src/client.ts'
import { BackgroundError } from '../../src/errors.ts'
import type { JobDetails } from '../../src/manage/jobs.ts'
import { defineCommand } from '../command.ts'
import { withBackground } from '../database.ts'
import { databaseUrl, flag } from '../input/options.ts'
import { explainMisuse } from '../input/usage-error.ts'
import { type LogEntry, logLine, toEntries } from '../output/task-log.ts'
import { withGrace } from '../signals.ts'

/** `kretes background logs`: shows what the runs of a job have logged; with `-f`, until the job is done. */
export const logs = defineCommand({
  usage: 'logs <job>',
  summary: 'Show what a job has logged, by id or key',
  options: {
    follow: flag('-f, --follow', 'Continue until the job is done'),
    json: flag('--json', 'Print each line as JSON'),
    databaseUrl
  },
  examples: program => [`  $ ${program} logs 42 -f`],

  async run({ words: [word = ''], options }, context) {
    const { output, stop } = context
    const print = createPrinter(entry => {
      if (options.json) output.json(entry)
      else output.line(logLine(entry, output.style))
    })

    async function follow(background: BackgroundClient): Promise<void> {
      let id = word
      for (let isFirst = true; ; isFirst = false) {
        const job = await background.job(id).catch(explainMisuse)
        if (!job) {
          // The job has been deleted since the last look.
          if (!isFirst) return
          throw new BackgroundError(
            'JOB_GONE',
            `Cannot show logs of ${word}: there is no such job, and no run of it is kept`
          )
        }
        // Another job may have the key at the next look.
        id = job.id
        print(job)
        if (!options.follow || job.isGone || job.state === 'failed' || stop.aborted) return
        await sleep(INTERVAL_MS, undefined, { signal: stop }).catch(() => {})
      }
    }

    // Ctrl-C is the usual way to stop following, and no failure.
    await withBackground(options, options.follow ? withGrace(context, GRACE_MS) : context, follow)
    return 0
  }
})

/** Prints each line once: the lines of ended runs, then those of the current run. */
function createPrinter(print: (entry: LogEntry) => void): (job: JobDetails) => void {
  const ended = new Set<number>()
  /** The last line of the current run. A count would not do: the ledger drops the first lines of a very long log. */
  let last: string | undefined

  function printNew(log: unknown): void {
    const entries = toEntries(log)
    const start = entries.findLastIndex(entry => JSON.stringify(entry) === last) + 1
    for (const entry of entries.slice(start)) {
      print(entry)
      last = JSON.stringify(entry)
    }
  }

  return ({ runs, log }) => {
    for (const run of runs.toReversed()) {
      const time = run.finishedAt.getTime()
      if (ended.has(time)) continue
      ended.add(time)
      printNew(run.log)
      last = undefined
    }
    printNew(log)
  }
}

const INTERVAL_MS = 500
const GRACE_MS = 2_000
