import {
  type FoundRun,
  findRuns,
  findRunsOf,
  type RunConditions,
  type RunPosition,
  type Span
} from '../sql/ledger/runs.ts'
import type { Access } from '../sql/statement.ts'

/**
 * Walks through runs, those that ended last first, until the caller has enough: first the newest day, which answers most
 * questions, then the week before it, then all the rest.
 */
export async function* walkRuns(
  access: Access,
  conditions: RunConditions,
  after: RunPosition | null,
  limit: number
): AsyncGenerator<FoundRun> {
  const { job, search, sinceSeconds } = conditions
  const batch = search === null ? limit : SEARCH_BATCH
  if (job !== null) {
    yield* walk(after, batch, position => findRunsOf(access, job, { after: position, limit: batch }, conditions))
    return
  }
  const startSeconds = after ? Number(after.finishedSeconds) : Date.now() / 1_000
  let position = after
  for (const span of spansBack(startSeconds, sinceSeconds)) {
    const find = (from: RunPosition | null): Promise<FoundRun[]> =>
      findRuns(access, conditions, { span, after: from, limit: batch })
    for await (const found of walk(position, batch, find)) {
      yield found
      position = found.position
    }
  }
}

async function* walk(
  after: RunPosition | null,
  batch: number,
  find: (after: RunPosition | null) => Promise<FoundRun[]>
): AsyncGenerator<FoundRun> {
  for (let position = after; ; ) {
    const found = await find(position)
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

const DAY_SECONDS = 86_400
/** What is older comes in one span. */
const MOST_DAYS = 8
const SEARCH_BATCH = 1_000
