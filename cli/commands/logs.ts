import { setTimeout as sleep } from 'node:timers/promises'
import type { BackgroundClient } from '../../src/client.ts'
import { BackgroundError } from '../../src/errors.ts'
import type { JobDetails } from '../../src/inspect.ts'
import type { CommandContext } from '../context.ts'
import { withBackground } from '../database.ts'
import { explainMisuse } from '../input/filter.ts'
import type { Arguments } from '../input/options.ts'
import { type LogEntry, logLine, toEntries } from '../output/task-log.ts'
import { delayed } from '../signals.ts'

/** `kretes background logs`: what a job's runs have logged; with `-f`, until the job is done. */
export async function showLogs(args: Arguments, context: CommandContext): Promise<number> {
  const { output, stop, stopNow } = context
  const [word = ''] = args.words
  const isFollowing = args.flag('follow')
  const print = createPrinter(entry => {
    output.line(args.flag('json') ? JSON.stringify(entry) : logLine(entry, output.style))
  })

  async function follow(background: BackgroundClient): Promise<void> {
    let id = word
    for (let isFirst = true; ; isFirst = false) {
      const job = await background.job(id).catch(explainMisuse)
      if (!job) {
        // Somebody has deleted it meanwhile.
        if (!isFirst) return
        throw new BackgroundError(
          'JOB_GONE',
          `Cannot show logs of ${word}: there is no such job, and no run of it is kept`
        )
      }
      // Another job may have its key by the next time.
      id = job.id
      print(job)
      if (!isFollowing || job.isGone || job.state === 'failed' || stop.aborted) return
      await sleep(INTERVAL_MS, undefined, { signal: stop }).catch(() => {})
    }
  }

  // Ctrl-C is how one stops following, and no failure.
  const patient = { ...context, stop: AbortSignal.any([delayed(stop, PATIENCE_MS), stopNow]) }
  await withBackground(args, isFollowing ? patient : context, follow)
  return 0
}

/** Prints each line once: those of runs that have ended, then those of the one under way. */
function createPrinter(print: (entry: LogEntry) => void): (job: JobDetails) => void {
  const ended = new Set<number>()
  /** The last line of the run under way. It is not counted how many there were: the first of very many are dropped. */
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
const PATIENCE_MS = 2_000
