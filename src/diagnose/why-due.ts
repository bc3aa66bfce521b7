import { resumeCommand } from '../flow/pauses.ts'
import { LIMITED } from '../rules/lanes.ts'
import type { Choice } from '../sql/flow/choice.ts'
import { listPausesOf, type PauseRow } from '../sql/flow/pauses.ts'
import { versionOf } from '../sql/flow/versions.ts'
import type { WorkerRow } from '../sql/ledger/status.ts'
import { countBefore, countBeforeInQueue, type LiveJobRow } from '../sql/ledger/why.ts'
import type { Access } from '../sql/statement.ts'
import { toDate } from '../sql/times.ts'
import { counted, lengthOf } from '../text/amounts.ts'
import { didYouMean, nearMatches } from '../text/suggest.ts'
import type { Reason, ReasonCode } from './reason.ts'
import { whileLimited } from './why-limited.ts'

/** Finds out why a due job does not run although no worker holds it. The most important reason comes first. */
export async function reasonsWhileDue(
  access: Access,
  row: LiveJobRow,
  workers: readonly WorkerRow[]
): Promise<Reason[]> {
  const alive = workers.filter(({ isAlive }) => isAlive)
  const knowing = alive.filter(worker => takes(worker, row))
  const reasons = [
    ...(await listPausesOf(access, row.id)).map(toReason),
    ...withoutWorker(row, workers, alive),
    ...whileQueueIsHeld(row, workers),
    ...(row.queue === null || isLimited(row) ? [] : await behindInQueue(access, row)),
    ...(await whileLimited(access, row))
  ]
  if (knowing.length === 0) return reasons
  const before = await countBefore(access, row.id, newestOf(knowing))
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

/** The reasons that hold also before a job is due. */
export const IN_ADVANCE: readonly ReasonCode[] = [
  'paused',
  'no-worker',
  'unknown-task',
  'newer-version',
  'queue-not-taken'
]

function toReason(pause: PauseRow): Reason {
  const { kind, name, key, since, by, reason } = pause
  const at = toDate(since)
  const its = key === null ? `Its ${kind} ${name}` : `Its key ${key} of the ${kind} ${name}`
  const what = kind === 'all' ? 'Everything is' : `${its} is`
  const why = reason === null ? '' : `: ${reason}`
  return {
    code: 'paused',
    message: `${what} paused since ${at.toISOString()}, by ${by}${why}. Resume it: ${resumeCommand(pause)}`,
    at
  }
}

/** Several jobs of its queue run at the same time. */
function isLimited({ flags }: LiveJobRow): boolean {
  return flags !== null && LIMITED in flags
}

function takes(worker: WorkerRow, row: LiveJobRow): boolean {
  return worker.tasks.includes(row.task) && isFitting(worker, row) && takesQueue(worker, row)
}

/** The tasks of some workers, each with the newest version that one of them has. */
function newestOf(workers: readonly WorkerRow[]): Pick<Choice, 'tasks' | 'versions'> {
  const versions: Record<string, number> = {}
  for (const worker of workers)
    for (const [task, version] of Object.entries(worker.versions))
      versions[task] = Math.max(version, versions[task] ?? 0)
  return { tasks: [...new Set(workers.flatMap(({ tasks }) => tasks))], versions }
}

function isFitting({ versions }: WorkerRow, { task, flags }: LiveJobRow): boolean {
  return versionOf(flags) <= (versions[task] ?? 0)
}

function takesQueue({ queues: { kind, names } }: WorkerRow, { queue }: LiveJobRow): boolean {
  if (queue === null) return kind !== 'only'
  return kind !== 'none' && names.includes(queue) === (kind === 'only')
}

function* withoutWorker(row: LiveJobRow, workers: readonly WorkerRow[], alive: readonly WorkerRow[]): Iterable<Reason> {
  const { task, queue, flags } = row
  const knowing = alive.filter(({ tasks }) => tasks.includes(task))
  const fitting = knowing.filter(worker => isFitting(worker, row))
  if (alive.length === 0) {
    const [latest] = workers.toSorted((left, right) => left.beatAgeMs - right.beatAgeMs)
    const lost = latest ? `: the last one, ${latest.id}, was lost ${lengthOf(latest.beatAgeMs)} ago` : ''
    yield { code: 'no-worker', message: `No worker is running${lost}. Start one: kretes background` }
  } else if (knowing.length === 0) {
    const tasks = [...new Set(alive.flatMap(worker => worker.tasks))].sort()
    const near = didYouMean(nearMatches(task, tasks))
    const listed = tasks.slice(0, MOST_TASKS).join(', ')
    const more = tasks.length > MOST_TASKS ? ` and ${tasks.length - MOST_TASKS} more` : ''
    const message = `No live worker runs ${task}: ${counted(alive.length, 'worker')}, with ${listed}${more}${near}`
    yield { code: 'unknown-task', message, tasks }
  } else if (fitting.length === 0) {
    const newest = Math.max(...knowing.map(({ versions }) => versions[task] ?? 0))
    const found = newest === 0 ? 'no version' : `version ${newest} at most`
    const message = `Version ${versionOf(flags)} of ${task} has scheduled it, and the live workers have ${found}: ${counted(knowing.length, 'worker')}. Start a worker with the newer code`
    yield { code: 'newer-version', message }
  } else if (!fitting.some(worker => takesQueue(worker, row))) {
    const jobs = queue === null ? 'jobs without a queue' : `jobs of the queue ${queue}`
    const message = `No live worker that knows ${task} takes ${jobs}: ${counted(fitting.length, 'worker')}, by the option queues`
    yield { code: 'queue-not-taken', message }
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
