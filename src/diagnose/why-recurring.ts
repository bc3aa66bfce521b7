import { readWorkers, type WorkerRow } from '../sql/ledger/status.ts'
import { findLiveJob } from '../sql/ledger/why.ts'
import { findEntry } from '../sql/recurring/entries.ts'
import type { EntryRow } from '../sql/recurring/row.ts'
import type { Access } from '../sql/statement.ts'
import { lengthOf } from '../text/amounts.ts'
import type { Reason } from './reason.ts'

/** Explains when a recurring job runs next, and why it has skipped an occurrence; `undefined` if there is none. */
export async function explainRecurring(access: Access, name: string): Promise<readonly Reason[] | undefined> {
  const row = await findEntry(access, name)
  if (!row) return undefined
  const workers = await readWorkers(access)
  return [whenNext(row, workers), ...whenUnknown(row, workers), ...(await whenSkipped(access, row))]
}

function whenNext(row: EntryRow, workers: readonly WorkerRow[]): Reason {
  const { task, nextMs, nowMs, pausedMs, endMs } = row
  if (pausedMs !== null) {
    const at = new Date(pausedMs)
    return { code: 'paused', message: `It has been paused since ${at.toISOString()}. Resume it to let it recur`, at }
  }
  if (nextMs === null) {
    const end = endMs === null ? '' : `: its end was ${new Date(endMs).toISOString()}`
    return { code: 'over', message: `No occurrence comes any more${end}` }
  }
  const at = new Date(nextMs)
  const message = `The next occurrence schedules ${task} at ${at.toISOString()}`
  if (nextMs > nowMs) return { code: 'next-occurrence', message: `${message}, in ${lengthOf(nextMs - nowMs)}`, at }
  const isAlone = !workers.some(({ isAlive }) => isAlive)
  const remedy = isAlone
    ? ': no worker is running. Start one: kretes background'
    : ': a worker will do so at any moment'
  const late = `An occurrence has been due for ${lengthOf(nowMs - nextMs)}, since ${at.toISOString()}${remedy}`
  return { code: isAlone ? 'no-worker' : 'next-occurrence', message: late, at }
}

function* whenUnknown({ task }: EntryRow, workers: readonly WorkerRow[]): Iterable<Reason> {
  const alive = workers.filter(({ isAlive }) => isAlive)
  if (alive.length === 0 || alive.some(({ tasks }) => tasks.includes(task))) return
  yield { code: 'unknown-task', message: `No live worker knows ${task}, so its jobs wait` }
}

async function whenSkipped(access: Access, row: EntryRow): Promise<Reason[]> {
  const { skippedMs, skipReason, lastJob } = row
  if (skippedMs === null) return []
  const at = new Date(skippedMs)
  const when = `It last skipped an occurrence at ${at.toISOString()}`
  if (skipReason === 'missed') {
    const message = `${when}: no worker was running when occurrences were due, and its missed policy left them out`
    return [{ code: 'skipped', message, at }]
  }
  const last = lastJob === null ? undefined : await findLiveJob(access, { id: lastJob })
  const isGoing = last && last.state !== 'failed'
  const message = isGoing
    ? `${when}: the previous run is still going. Job ${last.id} is ${last.state}`
    : `${when}: the previous run was still going then`
  return [{ code: 'skipped', message, at, ...(isGoing && { job: last.id }) }]
}
