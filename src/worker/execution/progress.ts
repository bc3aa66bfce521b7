import { codeOf } from '../../database/failure.ts'
import type { Logger } from '../../logger.ts'
import { progressTimings } from '../../rules/timings.ts'
import type { LiveNews, RunNews } from '../../sql/ledger/live.ts'
import type { ActiveRun } from './active-run.ts'
import { FITS_ALL, type Fit } from './encoding.ts'

/** The options of {@linkcode createProgressReporter}. */
export interface ProgressOptions {
  /** The runs under way. */
  readonly runs: Iterable<ActiveRun>
  /** Writes the news to the database, where other processes can read it. */
  show(news: LiveNews): Promise<void>
  /** Makes text fit the database. */
  readonly fit?: Fit
  readonly logger: Logger
}

/** Reports to the database which jobs this worker runs, and their progress. */
export interface ProgressReporter {
  /** Stops after a last report. Does not wait for it. */
  stop(): void
}

/**
 * Checks the runs twice a second and reports all changes in one statement. Short runs that log nothing are not
 * reported, and an idle worker reports nothing. If a report fails, the next one includes its changes.
 */
export function createProgressReporter({ runs, show, logger, fit = FITS_ALL }: ProgressOptions): ProgressReporter {
  /** The last report of each job: its run, and the version of its notes. */
  let reported = new Map<string, Reported>()
  let reportedIds = ''
  let isShowing = false
  const round = setInterval(report, progressTimings.everyMs)

  function report(): void {
    if (isShowing) return
    const now = new Map<string, Reported>()
    const changed = new Map<string, RunNews>()
    const running = new Set<string>()
    for (const run of runs) {
      const { id } = run.job
      if (run.durationMs > progressTimings.leastRunMs) running.add(id)
      const { notes } = run
      if (!notes) continue
      const before = reported.get(id)
      now.set(id, { run, version: notes.version })
      if (before?.run !== run || before.version !== notes.version) changed.set(id, toNews(run, fit))
    }
    const ended = [...reported.keys()].filter(id => !now.has(id))
    const ids = [...running].join(',')
    if (ids === reportedIds && changed.size === 0 && ended.length === 0) return
    isShowing = true
    showWithoutRefused({
      running: ids === reportedIds ? undefined : [...running],
      changed: [...changed.values()],
      ended
    })
      .then(
        () => {
          reported = now
          reportedIds = ids
        },
        error => logger.debug(`Cannot report which jobs this worker runs: ${error}`, { error })
      )
      .finally(() => {
        isShowing = false
      })
  }

  /** If the database refuses the news of one run, the news of the others is still written. */
  async function showWithoutRefused(news: LiveNews): Promise<void> {
    try {
      await show(news)
    } catch (error) {
      if (!UNFIT.test(codeOf(error) ?? '')) throw error
      const { changed } = news
      if (changed.length === 0) throw error
      if (changed.length === 1) {
        logger.debug(`Cannot report the progress of job ${changed[0]?.id}: ${error}`, { error })
        return await show({ ...news, changed: [] })
      }
      const middle = changed.length >> 1
      await showWithoutRefused({ ...news, changed: changed.slice(0, middle) })
      await showWithoutRefused({ running: undefined, changed: changed.slice(middle), ended: [] })
    }
  }

  return {
    stop() {
      clearInterval(round)
      report()
    }
  }
}

interface Reported {
  readonly run: ActiveRun
  readonly version: number
}

function toNews({ job, attempt, notes }: ActiveRun, fit: Fit): RunNews {
  const { progress = null, message = null, log = null } = notes ?? {}
  return { id: job.id, attempt, progress, message: message && fit.text(message), log: fit.json(log) }
}

/** A value that does not fit its column, or a value that is too large. */
const UNFIT = /^(?:22|54)/
