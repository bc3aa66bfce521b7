import type { WorkerRow } from '../sql/ledger/status.ts'
import { countBefore, countBeforeInQueue, type LiveJobRow } from '../sql/ledger/why.ts'
import type { Access } from '../sql/statement.ts'
import { counted, lengthOf } from '../text/amounts.ts'
import { didYouMean, nearMatches } from '../text/suggest.ts'
import type { Reason } from './reason.ts'

/** Finds out why a due job does not run although no worker holds it. The most important reason comes first. */
export async function reasonsWhileDue(
  access: Access,
  row: LiveJobRow,
  workers: readonly WorkerRow[]
): Promise<Reason[]> {
  const alive = workers.filter(({ isAlive }) => isAlive)
  const knowing = alive.filter(({ tasks }) => tasks.includes(row.task))
  const reasons = [
    ...withoutWorker(row, workers, alive, knowing),
    ...whileQueueIsHeld(row, workers),
    ...(row.queue === null ? [] : await behindInQueue(access, row))
  ]
  if (knowing.length === 0) return reasons
  const before = await countBefore(access, row.id, [...new Set(knowing.flatMap(({ tasks }) => tasks))])
  const others = `${counted(before.count, 'job')} that could run now ${before.count === 1 ? 'comes' : 'come'} before it`
  if (knowing.every(({ running, concurrency }) => running.length >= concurrency)) {
    const total = knowing.reduce((sum, { concurrency }) => sum + concurrency, 0)
    const message = `All workers that know ${row.task} are busy: ${counted(knowing.length, 'worker')}, ${counted(total, 'job')} at a time; ${others}`
    return [...reasons, { code: 'workers-busy', message, count: before.count }]
  }
  if (reasons.length > 0) return reasons
  if (before.count > 0) {
    const message = `${others}, by priority and then run time`
    return [{ code: 'behind-others', message, count: before.count, ...(before.first && { job: before.first }) }]
  }
  return [{ code: 'due', message: 'Nothing holds it back: a worker will fetch it at any moment' }]
}

function* withoutWorker(
  { task }: LiveJobRow,
  workers: readonly WorkerRow[],
  alive: readonly WorkerRow[],
  knowing: readonly WorkerRow[]
): Iterable<Reason> {
  if (alive.length === 0) {
    const [latest] = workers.toSorted((left, right) => left.beatAgeMs - right.beatAgeMs)
    const lost = latest ? `: the last one, ${latest.id}, was lost ${lengthOf(latest.beatAgeMs)} ago` : ''
    yield { code: 'no-worker', message: `No worker is running${lost}. Start one: kretes background` }
  } else if (knowing.length === 0) {
    const tasks = [...new Set(alive.flatMap(worker => worker.tasks))].sort()
    const near = didYouMean(nearMatches(task, tasks))
    const listed = tasks.slice(0, MOST_TASKS).join(', ')
    const more = tasks.length > MOST_TASKS ? ` and ${tasks.length - MOST_TASKS} more` : ''
    const message = `No live worker knows ${task}: ${counted(alive.length, 'worker')}, with ${listed}${more}${near}`
    yield { code: 'unknown-task', message, tasks }
  }
}

function* whileQueueIsHeld(row: LiveJobRow, workers: readonly WorkerRow[]): Iterable<Reason> {
  if (row.queueHeldSince === null) return
  const at = new Date(row.queueHeldSince)
  const name = row.queueWorker ?? ''
  const worker = workers.find(({ id }) => id === name)
  const does =
    row.queueJob === null
      ? 'has just ended a job of it'
      : `${row.isQueueJobRunning === false ? 'has fetched' : 'runs'} job ${row.queueJob} of it`
  const state = worker?.isAlive === false ? ', and was lost since: others will free the queue' : ''
  const message = `Its queue ${row.queue} is held by worker ${name}, which ${does}, since ${at.toISOString()}${state}`
  yield { code: 'queue-held', message, at, worker: name, ...(row.queueJob !== null && { job: row.queueJob }) }
}

async function behindInQueue(access: Access, { id, queue }: LiveJobRow): Promise<Reason[]> {
  const { count, first } = await countBeforeInQueue(access, id)
  if (count === 0 || first === null) return []
  const [come, next] = count === 1 ? ['comes', `: ${first}`] : ['come', `, job ${first} next`]
  const message = `${counted(count, 'job')} of its queue ${queue} ${come} before it${next}`
  return [{ code: 'behind-in-queue', message, count, job: first }]
}

/** The most names in a message. */
const MOST_TASKS = 10
