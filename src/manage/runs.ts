import {
  type FoundRun,
  findRuns,
  findRunsOf,
  type RunConditions,
  type RunPosition,
  type Span
} from '../sql/ledger/runs.ts'
import type { Access } from '../sql/statement.ts'

/** Where a walk starts. */
export interface Start {
  /** The time by the clock of the database. */
  readonly at: Date
  /** Only what comes after it in the list. */
  readonly after: RunPosition | null
  /** How many runs the caller wants, which is how many are read at once. */
  readonly limit: number
}

/**
 * Walks through runs, those that ended last first, until the caller has enough: first the newest day, which answers most
 * questions, then the week before it, then all the rest.
 */
export async function* walkRuns(
  access: Access,
  conditions: RunConditions,
  { at, after, limit }: Start
): AsyncGenerator<FoundRun> {
  const { job, search, sinceSeconds } = conditions
  const batches = search === null ? { first: limit, next: limit } : SEARCH_BATCHES
  if (job !== null) {
    yield* walk(after, batches, (from, batch) => findRunsOf(access, job, { after: from, limit: batch }, conditions))
    return
  }
  const startSeconds = after ? Number(after.finishedSeconds) : at.getTime() / 1_000
  let position = after
  for (const span of spansBack(startSeconds, sinceSeconds)) {
    const find = (from: RunPosition | null, batch: number): Promise<FoundRun[]> =>
      findRuns(access, conditions, { span, after: from, limit: batch })
    for await (const found of walk(position, batches, find)) {
      yield found
      position = found.position
    }
  }
}

async function* walk(
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

/** Spans of days that cover all time, the newest first. The first has no end: clocks differ. */
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
/** What is older comes in one span. */
const MOST_DAYS = 8
/**
 * What many runs match is found in a small batch, and does not bring more of them than a page needs. What few match is
 * looked for in one large batch: each one has a price of its own, since all tasks are looked up anew.
 */
const SEARCH_BATCHES: Batches = { first: 1_000, next: 9_001 }
