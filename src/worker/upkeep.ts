import type { Sql } from 'postgres'
import { isTransientFailure } from '../database/failure.ts'
import { connect } from '../database/open.ts'
import { dropPartitions, makeRoom, tidyLedger } from '../ledger/prune.ts'
import type { Logger } from '../logger.ts'
import type { LedgerSettings } from './options.ts'
import { forgetUnusedQueues } from './unused-queues.ts'

/** What {@linkcode startUpkeep} takes. */
export interface UpkeepOptions {
  /** Of the ledger; without, there is none to look after. */
  readonly settings: LedgerSettings | undefined
  readonly control: Sql
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
  stop(): void
}

/**
 * Every worker looks after the ledger now and then; the database sees to it that they do so one at a time. One that
 * records nothing does so once an hour, so that an idle worker costs the database nothing.
 */
export function startUpkeep({ settings, control, url, schema, logger }: UpkeepOptions): Upkeep {
  let timer: NodeJS.Timeout | undefined
  let isStopped = false
  let rounds = 0
  let untilMs = 0
  let told = ''

  async function round(): Promise<void> {
    const isThorough = rounds++ % THOROUGH_EVERY === 0
    if (isThorough || performance.now() < untilMs) await tidy(isThorough)
    if (!isStopped) timer = setTimeout(round, INTERVAL_MS * (0.5 + Math.random()))
    timer?.unref()
  }

  async function tidy(isThorough: boolean): Promise<void> {
    try {
      const tidied = settings && (await tidyLedger(control, schema, settings, { isThorough }))
      if (tidied && tidied.due.length > 0 && !isStopped) await drop(tidied.due)
      if (isThorough && !isStopped) await forgetQueues()
      told = ''
    } catch (error) {
      // That the database is away, others have said.
      const isNews = !isStopped && !isTransientFailure(error)
      const problem = `Cannot look after the database: ${error instanceof Error ? error.message : error}`
      if (isNews && problem !== told) logger.warn(problem, { event: 'ledger.upkeep', error })
      told = problem
    }
  }

  async function forgetQueues(): Promise<void> {
    const count = await forgetUnusedQueues(control, schema)
    if (count > 0) logger.info(`Forgot ${count} queues without a job`, { event: 'queues.forgotten', count })
  }

  /** On a connection of its own: it may have to wait for somebody who reads what goes. */
  async function drop(due: Parameters<typeof dropPartitions>[2]): Promise<void> {
    const sql = connect({ url }, { max: 1, prepare: false, name: 'kretes upkeep' })
    try {
      const dropped = await dropPartitions(sql, schema, due)
      logger.info(`Removed old runs: ${dropped.join(', ')}`, { event: 'ledger.pruned', dropped })
    } finally {
      await sql.end({ timeout: 1 })
    }
  }

  // Not among all the rest that a worker does when it starts.
  timer = setTimeout(round, FIRST_AFTER_MS * (0.5 + Math.random()))
  timer.unref()
  return {
    recorded() {
      untilMs = performance.now() + FOLDED_AFTER_MS
    },
    mend: () => makeRoom(control, schema),
    stop() {
      isStopped = true
      clearTimeout(timer)
    }
  }
}

const FIRST_AFTER_MS = 1_000
const INTERVAL_MS = 30_000

/** Counters of the minute in which something ends are folded once it has passed. */
const FOLDED_AFTER_MS = 240_000

/** Once in about an hour. */
const THOROUGH_EVERY = 120
