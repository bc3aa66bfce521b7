import { setTimeout as sleep } from 'node:timers/promises'
import { connectTimeout } from '../database/connection.ts'
import { isTransientFailure } from '../database/failure.ts'
import { connect } from '../database/open.ts'
import { openSession } from '../database/session.ts'
import { dropPartitions, makeRoom, tidyLedger } from '../ledger/prune.ts'
import type { Logger } from '../logger.ts'
import type { Partition } from '../sql/ledger/upkeep.ts'
import type { Connections } from '../sql/statement.ts'
import type { LedgerSettings } from './options.ts'

/** What {@linkcode startUpkeep} takes. */
export interface UpkeepOptions {
  /** Of the ledger; without, there is none to look after. */
  readonly settings: LedgerSettings | undefined
  readonly control: Connections
  readonly url: string | undefined
  readonly schema: string
  readonly logger: Logger
}

/** Looks after what grows in the database while the worker lives. */
export interface Upkeep {
  /** Runs were recorded: there is something to fold. */
  recorded(): void
  /** Makes room for runs of today, which somebody could not record. */
  mend(): Promise<void>
  /** Does the first round now, unless it has been; what takes long is left to another worker. */
  lookOnce(): Promise<void>
  stop(): void
}

/**
 * Every worker looks after the ledger now and then; the database sees to it that they do so one at a time. One that
 * records nothing does so once an hour, so that an idle worker costs the database nothing.
 */
export function startUpkeep({ settings, control, url, schema, logger }: UpkeepOptions): Upkeep {
  let timer: NodeJS.Timeout | undefined
  const stopping = new AbortController()
  let isStopped = false
  let rounds = 0
  let untilMs = 0
  let told = ''

  async function round(): Promise<void> {
    const isDue = rounds++ % IDLE_EVERY === 0
    if (isDue || performance.now() < untilMs) await tidy()
    if (!isStopped) timer = setTimeout(round, INTERVAL_MS * (0.5 + Math.random()))
    timer?.unref()
  }

  async function tidy(): Promise<void> {
    try {
      const limit = AbortSignal.any([stopping.signal, AbortSignal.timeout(FOLDING_MS)])
      const tidied = settings && (await tidyLedger(control, schema, settings, limit))
      if (tidied?.isBehind && !isStopped) {
        logger.warn('Folding the counters of runs takes longer than half a round: the next goes on', {
          event: 'ledger.behind',
          folded: tidied.folded
        })
      }
      if (tidied && tidied.due.length > 0 && !isStopped) await drop(tidied.due)
      told = ''
    } catch (error) {
      // That the database is away, others have said.
      const isNews = !isStopped && !isTransientFailure(error)
      const problem = `Cannot look after the database: ${error instanceof Error ? error.message : error}`
      if (isNews && problem !== told) logger.warn(problem, { event: 'ledger.upkeep', error })
      told = problem
    }
  }

  /** On a connection of its own: it may have to wait for somebody who reads what goes, but not for long. */
  async function drop(due: readonly Partition[]): Promise<void> {
    const session = openSession(connect({ url }, { max: 1, prepare: false, name: 'kretes upkeep' }))
    const limit = AbortSignal.any([stopping.signal, AbortSignal.timeout(DROPPING_MS)])
    const giveUp = async (): Promise<void> => {
      session.cancel()
      // A server that does not answer is not waited for either.
      await sleep(CANCEL_MS, undefined, { ref: false })
      session.abandon(connectTimeout())
    }
    limit.addEventListener('abort', giveUp)
    try {
      const dropped = await dropPartitions(session.execute, schema, due, limit)
      logger.info(`Removed old runs: ${dropped.join(', ')}`, { event: 'ledger.pruned', dropped })
    } catch (error) {
      if (!limit.aborted) throw error
      if (!isStopped)
        logger.warn('Old runs are not removed yet: a transaction that may read them is open', {
          event: 'ledger.waiting'
        })
    } finally {
      limit.removeEventListener('abort', giveUp)
      await session.end()
    }
  }

  // Not among all the rest that a worker does when it starts.
  timer = setTimeout(round, FIRST_AFTER_MS * (0.5 + Math.random()))
  timer.unref()
  return {
    recorded() {
      untilMs = performance.now() + FOLDED_AFTER_MS
    },
    mend: () => makeRoom(control.execute, schema),
    async lookOnce() {
      if (rounds > 0) return
      clearTimeout(timer)
      await Promise.race([round(), sleep(MOST_MS, undefined, { ref: false })])
    },
    stop() {
      isStopped = true
      clearTimeout(timer)
      stopping.abort()
    }
  }
}

const FIRST_AFTER_MS = 1_000
const INTERVAL_MS = 30_000
const MOST_MS = 5_000

/** Counters of the minute in which something ends are folded once it has passed. */
const FOLDED_AFTER_MS = 240_000

/** Once in about an hour. */
const IDLE_EVERY = 120

/** Another round comes soon. */
const FOLDING_MS = 15_000
const DROPPING_MS = 60_000
const CANCEL_MS = 1_000
