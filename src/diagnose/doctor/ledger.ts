import type { Sql } from 'postgres'
import { type LedgerFacts, readLedger } from '../../sql/ledger/doctor.ts'
import { dayOf } from '../../sql/ledger/partitions.ts'
import { readWorkers, type WorkerRow } from '../../sql/ledger/status.ts'
import { ownSchema } from '../../sql/names.ts'
import type { Access } from '../../sql/statement.ts'
import type { Retention } from '../../sql/workers.ts'
import { counted, lengthOf } from '../../text/amounts.ts'
import type { Finding } from './finding.ts'
import type { Limits } from './limits.ts'

/** Looks whether the ledger has room for the days to come, and whether workers remove what they do not keep. */
export async function examineLedger(sql: Sql, access: Access, limits: Limits): Promise<Finding[]> {
  const ledger = await readLedger(sql, access.schema)
  const { keepers, areAlive } = findKeepers(await readWorkers(access))
  return [
    // Without a worker nobody needs them; the next one makes them when it starts.
    ...(areAlive ? examineRoom(ledger) : []),
    ...(areAlive ? examineAgreement(keepers) : []),
    ...examineAge(ledger, keepers),
    ...examineSize(ledger, ownSchema(access.schema), limits)
  ]
}

/**
 * For how long those workers keep runs that record any. If none of them is alive, the latest on the register tells for
 * how long runs were meant to be kept; if there is none either, nobody knows.
 */
function findKeepers(workers: readonly WorkerRow[]): { keepers: readonly Retention[]; areAlive: boolean } {
  const known = workers.flatMap(({ isAlive, retention }) => (retention ? [{ isAlive, retention }] : []))
  const alive = known.filter(({ isAlive }) => isAlive)
  const areAlive = alive.length > 0
  return { keepers: (areAlive ? alive : known.slice(-1)).map(({ retention }) => retention), areAlive }
}

function* examineRoom({ isTodayMissing, isTomorrowMissing }: LedgerFacts): Iterable<Finding> {
  if (!isTodayMissing && !isTomorrowMissing) return
  yield {
    code: 'no-partition',
    severity: isTodayMissing ? 'error' : 'warning',
    message: `The ledger has no partition for ${isTodayMissing ? 'today' : 'tomorrow'}: runs cannot be recorded${isTodayMissing ? '' : ' then'}`,
    remedy: 'Workers make them ahead, as the owner of the ledger: look at their log, and restart one'
  }
}

function* examineAgreement(keepers: readonly Retention[]): Iterable<Finding> {
  const differing = [...new Set(keepers.map(inWords))]
  if (differing.length < 2) return
  yield {
    code: 'ledger-retention',
    severity: 'warning',
    message: `Workers keep runs for different times, and the shortest holds for all: ${differing.join('; ')}`,
    remedy: 'Give all of them the same: the option ledger, or --keep-successes and --keep-failures'
  }
}

function* examineAge({ partitions, today }: LedgerFacts, keepers: readonly Retention[]): Iterable<Finding> {
  if (keepers.length === 0) return
  // Each worker removes what is too old for itself.
  const kept = {
    successesMs: shortestOf(keepers.map(({ successesMs }) => successesMs)),
    failuresMs: shortestOf(keepers.map(({ failuresMs }) => failuresMs))
  }
  const old = partitions.filter(name => {
    const keptMs = name.endsWith('_failures') ? kept.failuresMs : kept.successesMs
    const day = dayOfPartition(name)
    return keptMs !== null && day !== undefined && day < today - daysOf(keptMs) - GRACE_DAYS
  })
  if (old.length === 0) return
  const options = `--keep-successes ${toOption(kept.successesMs)} --keep-failures ${toOption(kept.failuresMs)}`
  yield {
    code: 'ledger-retention',
    severity: 'warning',
    message: `${counted(old.length, 'partition')} of the ledger ${old.length === 1 ? 'is' : 'are'} older than workers keep runs (${inWords(kept)}), from ${old.toSorted()[0]} on`,
    remedy: `Workers remove them while they run: look at their log for what prevents it. By hand: kretes background prune ${options}`
  }
}

function* examineSize({ bytes }: LedgerFacts, own: string, { ledgerBytes }: Limits): Iterable<Finding> {
  if (bytes <= ledgerBytes) return
  const size = bytes > 2 ** 30 ? `${(bytes / 2 ** 30).toFixed(1)} GiB` : `${(bytes / 2 ** 20).toFixed(1)} MiB`
  yield {
    code: 'ledger-size',
    severity: 'warning',
    message: `The ledger in ${own} has grown to ${size}`,
    remedy:
      'Keep runs for a shorter time: kretes background prune --keep-successes 2d, and the same in the options of the workers'
  }
}

/** `null` is longer than any other. */
function shortestOf(times: readonly Retention['successesMs'][]): number | null {
  const finite = times.flatMap(ms => (ms === null ? [] : ms || 0))
  return finite.length === 0 ? null : Math.min(...finite)
}

/** Whole days go, and never those of today and yesterday. */
function daysOf(keptMs: number): number {
  return Math.max(1, Math.ceil(keptMs / DAY_MS))
}

function dayOfPartition(name: string): number | undefined {
  const [, year, month, day] = /^ledger_(\d{4})(\d\d)(\d\d)/.exec(name) ?? []
  return year === undefined ? undefined : dayOf(new Date(`${year}-${month}-${day}T00:00:00Z`))
}

function toOption(keptMs: number | null): string {
  return keptMs === null ? 'forever' : `${daysOf(keptMs)}d`
}

function inWords({ successesMs, failuresMs }: Retention): string {
  const tell = (ms: Retention['successesMs']): string =>
    ms === null ? 'for ever' : ms ? `for ${lengthOf(ms)}` : 'not at all'
  return `successes ${tell(successesMs)}, failures ${tell(failuresMs)}`
}

const DAY_MS = 86_400_000

/** Pruning comes by only now and then. */
const GRACE_DAYS = 2
