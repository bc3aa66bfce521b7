import { setTimeout as sleep } from 'node:timers/promises'
import { connectTimeout } from '../database/connections/connection.ts'
import { openSession } from '../database/connections/session.ts'
import { isTransientFailure } from '../database/failure.ts'
import { connect } from '../database/open.ts'
import { dropPartitions, makeRoom, tidyLedger } from '../ledger/prune.ts'
import type { Logger } from '../logger.ts'
import { upkeepTimings } from '../rules/timings.ts'
import { sampleLimits } from '../sql/flow/history.ts'
import { forgetStarts } from '../sql/flow/rates.ts'
import type { Partition } from '../sql/ledger/upkeep.ts'
import type { Connections } from '../sql/statement.ts'
import type { LedgerSettings } from './options.ts'

/** The options of {@linkcode startUpkeep}. */
export interface UpkeepOptions {
  /** The settings of the ledger. `undefined` if it is off. */
  readonly settings: LedgerSettings | undefined
  readonly connections: Connections
  readonly url: string | undefined
  readonly schema: string
  readonly logger: Logger
}

/** Removes old rows from the database and folds its counters while the worker runs. */
export interface Upkeep {
  /** Call when runs were recorded: the next rounds have counters to fold. */
  recorded(): void
  /** Creates the missing partition for today's runs. Call when a run could not be recorded without it. */
  mend(): Promise<void>
  /** Does the first round now, unless it is done already, or under way. Waits 5 seconds at most; another worker does the rest. */
  runOnce(): Promise<void>
  stop(): void
}

/**
 * Every worker does upkeep in rounds; a lock in the database keeps two workers from doing so at the same time. A worker
 * that records nothing does a round once an hour, so an idle worker costs the database almost nothing.
 */
export function startUpkeep({ settings, connections, url, schema, logger }: UpkeepOptions): Upkeep {
  let timer: NodeJS.Timeout | undefined
  const stopping = new AbortController()
  let isStopped = false
  let rounds = 0
  let latest: Promise<void> | undefined
  let foldingUntilMs = 0
  let lastProblem = ''

  /** Begins a round. */
  function begin(): Promise<void> {
    latest = round()
    return latest
  }

  async function round(): Promise<void> {
    const isDue = rounds++ % IDLE_EVERY === 0
    if (isDue || performance.now() < foldingUntilMs) await tidy()
    if (!isStopped) timer = setTimeout(begin, upkeepTimings.everyMs * (0.5 + Math.random()))
    timer?.unref()
  }

  async function tidy(): Promise<void> {
    try {
      const limit = AbortSignal.any([stopping.signal, AbortSignal.timeout(upkeepTimings.foldingMs)])
      await forgetStarts(connections.execute, schema)
      if (settings) await sampleLimits(connections.execute, schema)
      const tidied = settings && (await tidyLedger(connections, schema, settings, limit))
      if (tidied?.isBehind && !isStopped) {
        logger.warn('Folding the counters of runs did not finish in time; the next round continues', {
          event: 'ledger.behind',
          folded: tidied.folded
        })
      }
      if (tidied && tidied.due.length > 0 && !isStopped) await drop(tidied.due)
      lastProblem = ''
    } catch (error) {
      // Other parts of the worker log that the database is unavailable.
      const isNews = !isStopped && !isTransientFailure(error)
      const problem = `Cannot do the upkeep of the ledger: ${error instanceof Error ? error.message : error}`
      if (isNews && problem !== lastProblem) logger.warn(problem, { event: 'ledger.upkeep', error })
      lastProblem = problem
    }
  }

  /** Uses its own connection, because it may wait for transactions that read the old runs. The wait is limited. */
  async function drop(due: readonly Partition[]): Promise<void> {
    const session = openSession(connect({ url }, { max: 1, prepare: false, name: 'kretes upkeep' }))
    const limit = AbortSignal.any([stopping.signal, AbortSignal.timeout(upkeepTimings.droppingMs)])
    const giveUp = async (): Promise<void> => {
      session.cancel()
      // If the server does not answer the cancel request either, close the connection.
      await sleep(upkeepTimings.cancelMs, undefined, { ref: false })
      session.abandon(connectTimeout())
    }
    limit.addEventListener('abort', giveUp)
    try {
      const dropped = await dropPartitions(session.execute, schema, due, limit)
      logger.info(`Removed old runs: ${dropped.join(', ')}`, { event: 'ledger.pruned', dropped })
    } catch (error) {
      if (!limit.aborted) throw error
      if (!isStopped)
        logger.warn('Cannot remove old runs yet: an open transaction may read them', {
          event: 'ledger.waiting'
        })
    } finally {
      limit.removeEventListener('abort', giveUp)
      await session.end()
    }
  }

  // Upkeep starts a little later, so that it does not slow down the start of the worker.
  timer = setTimeout(begin, upkeepTimings.firstAfterMs * (0.5 + Math.random()))
  timer.unref()
  return {
    recorded() {
      foldingUntilMs = performance.now() + upkeepTimings.foldedAfterMs
    },
    mend: () => makeRoom(connections.execute, schema),
    async runOnce() {
      if (!latest) clearTimeout(timer)
      await Promise.race([latest ?? begin(), sleep(upkeepTimings.onceMs, undefined, { ref: false })])
    },
    stop() {
      isStopped = true
      clearTimeout(timer)
      stopping.abort()
    }
  }
}

/** Without recorded runs, one round in 120: about one per hour. */
const IDLE_EVERY = 120
