import { refuseUnknown } from '../check/options.ts'
import type { Run } from '../run.ts'
import {
  type FoundRun,
  findRuns,
  findRunsOf,
  type RunConditions,
  type RunPosition,
  type Span
} from '../sql/ledger/runs.ts'
import type { Access } from '../sql/statement.ts'
import { readClock } from '../sql/times.ts'
import { readRunsCursor, writeRunsCursor } from './cursor.ts'
import { PAGE, type PageOptions, RUN_FILTER, type RunFilter, toLimit, toRunConditions } from './filter.ts'

/** A page of runs. */
export interface RunsPage {
  /** When the page was read, by the database's clock. */
  readonly at: Date
  /** The runs, the last ended first. */
  readonly runs: readonly Run[]
  /** The cursor of the next page; absent on the last page. */
  readonly cursor?: string | undefined
}

/** Reads a page of runs. */
export function readRuns(options: RunFilter & PageOptions): (access: Access) => Promise<RunsPage> {
  const doing = 'list runs'
  refuseUnknown(options, { ...RUN_FILTER, ...PAGE }, doing, 'condition')
  const conditionsAt = toRunConditions(options, doing)
  const limit = toLimit(options, doing)
  const after = readRunsCursor(options.cursor)
  return async access => {
    const at = await readClock(access.execute)
    const conditions = conditionsAt(at)
    const runs: Run[] = []
    let last: RunPosition | undefined
    let examined = 0
    for await (const { position, run } of findNewest(access, conditions, { at, after, limit: limit + 1 })) {
      const isFull = (run && runs.length === limit) || examined++ === MOST_EXAMINED
      if (isFull) return { at, runs, ...(last && { cursor: writeRunsCursor(last) }) }
      if (run) runs.push(run)
      last = position
    }
    return { at, runs }
  }
}

interface Start {
  /** The time of the database. */
  readonly at: Date
  /** The run before the first that is wanted. */
  readonly after: RunPosition | null
  /** How many runs the caller wants, and how many a statement reads. */
  readonly limit: number
}

/** Yields runs, the last ended first: those of the newest day, then those of the week before, then all others. */
async function* findNewest(
  access: Access,
  conditions: RunConditions,
  { at, after, limit }: Start
): AsyncGenerator<FoundRun> {
  const { job, search, sinceSeconds } = conditions
  const batches = search === null ? { first: limit, next: limit } : SEARCH_BATCHES
  if (job !== null) {
    yield* findInBatches(after, batches, (from, batch) =>
      findRunsOf(access, job, { after: from, limit: batch }, conditions)
    )
    return
  }
  const startSeconds = after ? Number(after.finishedSeconds) : at.getTime() / 1_000
  let position = after
  for (const span of spansBack(startSeconds, sinceSeconds)) {
    const find = (from: RunPosition | null, batch: number): Promise<FoundRun[]> =>
      findRuns(access, conditions, { span, after: from, limit: batch })
    for await (const found of findInBatches(position, batches, find)) {
      yield found
      position = found.position
    }
  }
}

async function* findInBatches(
  after: RunPosition | null,
  { first, next }: Batches,
  find: (after: RunPosition | null, batch: number) => Promise<FoundRun[]>
): AsyncGenerator<FoundRun> {
  for (let position = after, batch = first; ; batch = next) {
    const found = await find(position, batch)
    yield* found
    position = found.at(-1)?.position ?? null
    if (found.length < batch || !position) return
  }
}

/** Spans of days that cover all time, the newest first. The first has no end, because clocks differ. */
function* spansBack(startSeconds: number, sinceSeconds: number | null): Generator<Span> {
  let toSeconds: number | null = null
  let fromSeconds = midnightBefore(startSeconds)
  for (let days = 1; days <= MOST_DAYS; days *= 8) {
    yield { fromSeconds, toSeconds }
    if (sinceSeconds !== null && sinceSeconds >= fromSeconds) return
    toSeconds = fromSeconds
    fromSeconds = toSeconds - days * DAY_SECONDS
  }
  yield { fromSeconds: null, toSeconds }
}

function midnightBefore(seconds: number): number {
  return Math.floor(seconds / DAY_SECONDS) * DAY_SECONDS
}

interface Batches {
  readonly first: number
  readonly next: number
}

const DAY_SECONDS = 86_400
/** All older days are one span. */
const MOST_DAYS = 8
/**
 * A search that matches many runs fills its page from a small first batch. A search that matches few needs large ones,
 * because each statement looks up all tasks again.
 */
const SEARCH_BATCHES: Batches = { first: 1_000, next: 9_001 }

/** How many runs a page of a search examines. */
const MOST_EXAMINED = 10_000
