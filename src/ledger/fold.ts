import { type Folding, foldCounters } from '../sql/ledger/counters.ts'
import { lockUpkeep } from '../sql/ledger/upkeep.ts'
import type { Connections } from '../sql/statement.ts'

/**
 * Sums up old rows of counters in fewer rows. Each part has a transaction of its own, so that none takes long.
 *
 * @param signal ends the folding after the current part; another call continues there
 * @returns by how many rows the counters have shrunk, and whether the signal has left some to fold
 */
export async function foldAll(
  { transact }: Connections,
  own: string,
  now: Date,
  signal: AbortSignal | undefined
): Promise<{ readonly folded: number; readonly isBehind: boolean }> {
  let folded = 0
  for (const folding of foldings(now)) {
    for (let isMore = true; isMore; ) {
      if (signal?.aborted) return { folded, isBehind: true }
      const part = await transact(async execute =>
        (await lockUpkeep(execute, own)) ? await foldCounters(execute, own, folding) : undefined
      )
      if (!part) return { folded, isBehind: false }
      folded += part.from - part.to
      isMore = part.from >= folding.limit
    }
  }
  return { folded, isBehind: false }
}

/** Past minutes become one row each, and so do hours after a day. Counters of queues are more, so they fold earlier. */
function foldings(now: Date): readonly Folding[] {
  const ago = (ms: number): Date => new Date(now.getTime() - ms)
  const hour = (before: Date): string => new Date(Math.floor(before.getTime() / HOUR_MS) * HOUR_MS).toISOString()
  const limit = FOLDED_AT_ONCE
  return [
    { table: 'queue_counters', unit: 'minute', before: null, limit },
    { table: 'counters', unit: 'minute', before: ago(2 * MINUTE_MS).toISOString(), limit },
    { table: 'queue_counters', unit: 'hour', before: hour(ago(HOUR_MS)), limit },
    { table: 'counters', unit: 'hour', before: hour(ago(24 * HOUR_MS)), limit }
  ]
}

/** Takes the server about a tenth of a second. */
const FOLDED_AT_ONCE = 20_000

const MINUTE_MS = 60_000
const HOUR_MS = 3_600_000
