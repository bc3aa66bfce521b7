import { isTooOld, type Retention, shortestOf } from '../../rules/retention.ts'
import { type LedgerFacts, readLedger } from '../../sql/ledger/doctor.ts'
import { readPartitionName } from '../../sql/ledger/partitions.ts'
import { readWorkers, type WorkerRow } from '../../sql/ledger/status.ts'
import { ownSchema } from '../../sql/names.ts'
import type { Access } from '../../sql/statement.ts'
import { counted, lengthOf } from '../../text/amounts.ts'
import { type Finding, problem, warning } from './finding.ts'
import type { Limits } from './limits.ts'

/** Examines whether the ledger has partitions for the next days, and whether workers remove old runs. */
export async function examineLedger(access: Access, limits: Limits): Promise<Finding[]> {
  const ledger = await readLedger(access.execute, access.schema)
  const { keepers, areAlive } = findKeepers(await readWorkers(access))
  return [
    // The next worker creates missing partitions when it starts.
    ...(areAlive ? examineRoom(ledger) : []),
    ...(areAlive ? examineAgreement(keepers) : []),
    ...examineAge(ledger, keepers),
    ...examineSize(ledger, ownSchema(access.schema), limits)
  ]
}

/** Finds how long workers keep runs: the live workers, or else the last one on the register. */
function findKeepers(workers: readonly WorkerRow[]): { keepers: readonly Retention[]; areAlive: boolean } {
  const known = workers.flatMap(({ isAlive, retention }) => (retention ? [{ isAlive, retention }] : []))
  const alive = known.filter(({ isAlive }) => isAlive)
  const areAlive = alive.length > 0
  return { keepers: (areAlive ? alive : known.slice(-1)).map(({ retention }) => retention), areAlive }
}

function* examineRoom({ isTodayMissing, isTomorrowMissing }: LedgerFacts): Iterable<Finding> {
  const remedy = 'Workers create them ahead, as the owner of the ledger: look at their log, and restart one'
  const message = 'The ledger has no partition for'
  if (isTodayMissing) yield problem('no-partition', `${message} today: runs cannot be recorded`, remedy)
  else if (isTomorrowMissing) yield warning('no-partition', `${message} tomorrow: runs cannot be recorded then`, remedy)
}

function* examineAgreement(keepers: readonly Retention[]): Iterable<Finding> {
  const differing = [...new Set(keepers.map(inWords))]
  if (differing.length < 2) return
  yield warning(
    'ledger-retention',
    `Workers keep runs for different times, and the shortest applies to all: ${differing.join('; ')}`,
    'Give all workers the same option ledger, or the same --keep-successes and --keep-failures'
  )
}

function* examineAge({ partitions, today }: LedgerFacts, keepers: readonly Retention[]): Iterable<Finding> {
  if (keepers.length === 0) return
  const kept = shortestOf(keepers)
  const now = new Date((today - GRACE_DAYS) * DAY_MS)
  const old = partitions.filter(name => isTooOld(readPartitionName(name), kept, now))
  if (old.length === 0) return
  const options = `--keep-successes ${toOption(kept.successesMs)} --keep-failures ${toOption(kept.failuresMs)}`
  yield warning(
    'ledger-retention',
    `${counted(old.length, 'partition')} of the ledger ${old.length === 1 ? 'is' : 'are'} older than workers keep runs (${inWords(kept)}), from ${old.toSorted()[0]} on`,
    `Workers remove them while they run: look in their log for the reason. By hand: kretes background prune ${options}`
  )
}

function* examineSize({ bytes }: LedgerFacts, own: string, { ledgerBytes }: Limits): Iterable<Finding> {
  if (bytes <= ledgerBytes) return
  const size = bytes > 2 ** 30 ? `${(bytes / 2 ** 30).toFixed(1)} GiB` : `${(bytes / 2 ** 20).toFixed(1)} MiB`
  yield warning(
    'ledger-size',
    `The ledger in ${own} has grown to ${size}`,
    'Keep runs for a shorter time: kretes background prune --keep-successes 2d, and the same in the options of the workers'
  )
}

function toOption(keptMs: number | null | false): string {
  return keptMs === null ? 'forever' : `${Math.max(1, Math.ceil((keptMs || 0) / DAY_MS))}d`
}

function inWords({ successesMs, failuresMs }: Retention): string {
  const describe = (ms: Retention['successesMs']): string =>
    ms === null ? 'for ever' : ms ? `for ${lengthOf(ms)}` : 'not at all'
  return `successes ${describe(successesMs)}, failures ${describe(failuresMs)}`
}

const DAY_MS = 86_400_000

/** Workers prune only now and then. */
const GRACE_DAYS = 2
