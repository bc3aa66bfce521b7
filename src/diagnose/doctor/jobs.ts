import { findNotTaken, hasVersions } from '../../sql/flow/choice.ts'
import { readLive, readPastTasks, readWorkers, type WorkerRow } from '../../sql/ledger/status.ts'
import type { Access } from '../../sql/statement.ts'
import { counted, lengthOf } from '../../text/amounts.ts'
import { type Finding, problem, warning } from './finding.ts'

/** Examines whether there are workers for the jobs, and whether the jobs fail. */
export async function examineJobs(access: Access): Promise<Finding[]> {
  const [{ tasks }, workers, past] = await Promise.all([
    readLive(access, 0),
    readWorkers(access),
    readPastTasks(access, HOUR_MS)
  ])
  const failed = tasks.reduce((sum, task) => sum + task.failed, 0)
  return [
    ...examineWorkers(workers, tasks),
    ...(await examineChoices(access, workers)),
    ...(failed > 0 ? [whenFailed(failed, tasks)] : []),
    ...past.tasks.filter(({ failures, ended }) => failures >= MANY_FAILURES && failures > ended / 2).map(whenFailing)
  ]
}

type Tasks = Awaited<ReturnType<typeof readLive>>['tasks']

function* examineWorkers(workers: readonly WorkerRow[], tasks: Tasks): Iterable<Finding> {
  const alive = workers.filter(({ isAlive }) => isAlive)
  // Its peers remove a worker from the register within seconds after its loss.
  const lost = workers.filter(({ isAlive, beatAgeMs }) => !isAlive && (alive.length === 0 || beatAgeMs > SWEPT_MS))
  if (lost.length > 0) {
    const names = lost.map(({ id, host, beatAgeMs }) => `${id} on ${host}, silent for ${lengthOf(beatAgeMs)}`)
    yield problem(
      'lost-workers',
      `${counted(lost.length, 'worker')} ended without unregistering, and no worker has taken over: ${names.join('; ')}`,
      'Start a worker: it frees their jobs within seconds'
    )
  }
  const waiting = tasks.filter(task => task.waiting + task.retrying > 0)
  if (alive.length === 0) {
    const count = waiting.reduce((sum, task) => sum + task.waiting + task.retrying, 0)
    if (count === 0) return
    yield problem(
      'no-worker',
      `${counted(count, 'job')} ${count === 1 ? 'waits' : 'wait'}, and no worker is running`,
      'Start one: kretes background'
    )
    return
  }
  const unknown = waiting.filter(({ name }) => !alive.some(worker => worker.tasks.includes(name)))
  if (unknown.length > 0) {
    const named = unknown.map(({ name, waiting, retrying }) => `${name} (${waiting + retrying})`)
    yield problem(
      'unknown-tasks',
      `Jobs wait that no live worker knows: ${named.join(', ')}`,
      'Start a worker that has these task files, or remove the jobs: kretes background cancel <id>. For details of a job: kretes background why <id>'
    )
  }
}

/** Looks for jobs that no worker takes, because of their version or their queue. */
async function examineChoices(access: Access, workers: readonly WorkerRow[]): Promise<Finding[]> {
  const alive = workers.filter(({ isAlive }) => isAlive)
  const hasRest = alive.some(({ queues }) => queues.kind !== 'except' || queues.names.length > 0)
  const found =
    alive.length > 0 && (hasRest || (await hasVersions(access)))
      ? await findNotTaken(
          access,
          alive.map(({ id }) => id)
        )
      : []
  const [first] = found
  if (!first) return []
  const named = found.slice(0, MOST_NAMED).map(({ task, count }) => `${task} (${count.toLocaleString('en')})`)
  return [
    problem(
      'not-taken',
      `Jobs wait that no live worker takes, because of their queue or of the version of their task: ${named.join(', ')}`,
      `Look why: kretes background why ${first.first}`
    )
  ]
}

function whenFailed(failed: number, tasks: Tasks): Finding {
  const worst = tasks.filter(task => task.failed > 0).toSorted((left, right) => right.failed - left.failed)
  const named = worst.slice(0, MOST_NAMED).map(({ name, failed }) => `${name} (${failed.toLocaleString('en')})`)
  return warning(
    'failed-jobs',
    `${counted(failed, 'job')} ${failed === 1 ? 'has' : 'have'} failed for good and ${failed === 1 ? 'stays' : 'stay'}: ${named.join(', ')}`,
    'Look at them: kretes background jobs --state failed. Then retry or delete them: kretes background retry --state failed, kretes background delete --state failed'
  )
}

function whenFailing({ name, failures, ended }: { name: string; failures: number; ended: number }): Finding {
  return warning(
    'failing-task',
    `${name} keeps failing: ${failures.toLocaleString('en')} of ${counted(ended, 'run')} in the last hour`,
    'Look at the errors: kretes background jobs --state retrying'
  )
}

const HOUR_MS = 3_600_000
const MANY_FAILURES = 20
const SWEPT_MS = 60_000
const MOST_NAMED = 5
