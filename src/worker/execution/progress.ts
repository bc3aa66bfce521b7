import { codeOf } from '../../database/failure.ts'
import type { Logger } from '../../logger.ts'
import type { LiveNews, RunNews } from '../../sql/ledger/live.ts'
import { FITS_ALL, type Fit } from './encoding.ts'
import type { Run } from './run.ts'

/** The options of {@linkcode createProgressReporter}. */
export interface ProgressOptions {
  /** The runs under way. */
  readonly runs: Iterable<Run>
  /** Shows others what there is to tell. */
  show(news: LiveNews): Promise<void>
  /** Makes text fit the database. */
  readonly fit?: Fit
  readonly logger: Logger
}

/** Shows others what this worker runs, and how far that is. */
export interface ProgressReporter {
  /** Tells what is left to tell, without waiting for it. */
  stop(): void
}

/**
 * Looks at the runs twice a second, and tells what has changed in one statement; of runs that are over soon and log
 * nothing, and by a worker that idles, nothing is told. What could not be told is told the next time.
 */
export function createProgressReporter({ runs, show, logger, fit = FITS_ALL }: ProgressOptions): ProgressReporter {
  /** What was told of which job: of which run, and how much of it. */
  let told = new Map<string, Told>()
  let shown = ''
  let isShowing = false
  const round = setInterval(tell, INTERVAL_MS)

  function tell(): void {
    if (isShowing) return
    const now = new Map<string, Told>()
    const changed = new Map<string, RunNews>()
    const running = new Set<string>()
    for (const run of runs) {
      const { id } = run.job
      if (run.durationMs > MIN_DURATION_MS) running.add(id)
      const { notes } = run
      if (!notes) continue
      const before = told.get(id)
      now.set(id, { run, version: notes.version })
      if (before?.run !== run || before.version !== notes.version) changed.set(id, toNews(run, fit))
    }
    const ended = [...told.keys()].filter(id => !now.has(id))
    const ids = [...running].join(',')
    if (ids === shown && changed.size === 0 && ended.length === 0) return
    isShowing = true
    showWhatCanBe({ running: ids === shown ? undefined : [...running], changed: [...changed.values()], ended })
      .then(
        () => {
          told = now
          shown = ids
        },
        error => logger.debug(`Cannot show what this worker runs: ${error}`, { error })
      )
      .finally(() => {
        isShowing = false
      })
  }

  /** What the database refuses of one run hides nothing of the others. */
  async function showWhatCanBe(news: LiveNews): Promise<void> {
    try {
      await show(news)
    } catch (error) {
      if (!UNFIT.test(codeOf(error) ?? '')) throw error
      const { changed } = news
      if (changed.length === 0) throw error
      if (changed.length === 1) {
        logger.debug(`Cannot show how far job ${changed[0]?.id} is: ${error}`, { error })
        return await show({ ...news, changed: [] })
      }
      const middle = changed.length >> 1
      await showWhatCanBe({ ...news, changed: changed.slice(0, middle) })
      await showWhatCanBe({ running: undefined, changed: changed.slice(middle), ended: [] })
    }
  }

  return {
    stop() {
      clearInterval(round)
      tell()
    }
  }
}

interface Told {
  readonly run: Run
  readonly version: number
}

function toNews({ job, attempt, notes }: Run, fit: Fit): RunNews {
  const { progress = null, message = null, log = null } = notes ?? {}
  return { id: job.id, attempt, progress, message: message && fit.text(message), log: fit.json(log) }
}

/** Values that their columns cannot hold, or too much of them. */
const UNFIT = /^(?:22|54)/

/** What was reported just after a look is seen by others within a second. */
const INTERVAL_MS = 500

/** Whatever is over sooner nobody could have seen. */
const MIN_DURATION_MS = 200
