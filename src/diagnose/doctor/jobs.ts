import { readLive, readPastTasks, readWorkers, type WorkerRow } from '../../sql/ledger/status.ts'
import type { Access } from '../../sql/statement.ts'
import { counted, lengthOf } from '../../text/amounts.ts'
import type { Finding } from './finding.ts'

/** Looks whether jobs run: whether there are workers for them, and what becomes of them. */
export async function examineJobs(access: Access): Promise<Finding[]> {
  const [{ tasks }, workers, past] = await Promise.all([
    readLive(access, 0),
    readWorkers(access),
    readPastTasks(access, HOUR_MS)
  ])
  const failed = tasks.reduce((sum, task) => sum + task.failed, 0)
  return [
    ...examineWorkers(workers, tasks),
    ...(failed > 0 ? [whenFailed(failed, tasks)] : []),
    ...past.tasks.filter(({ failures, ended }) => failures >= MANY_FAILURES && failures > ended / 2).map(whenFailing)
  ]
}

type Tasks = Awaited<ReturnType<typeof readLive>>['tasks']

function* examineWorkers(workers: readonly WorkerRow[], tasks: Tasks): Iterable<Finding> {
  const alive = workers.filter(({ isAlive }) => isAlive)
  // One that has just been lost is taken off the register by its peers within seconds.
  const lost = workers.filter(({ isAlive, beatAgeMs }) => !isAlive && (alive.length === 0 || beatAgeMs > SWEPT_MS))
  if (lost.length > 0) {
    const names = lost.map(({ id, host, beatAgeMs }) => `${id} on ${host}, silent for ${lengthOf(beatAgeMs)}`)
    yield {
      code: 'lost-workers',
      severity: 'error',
      message: `${counted(lost.length, 'worker')} ended without a word, and nobody has taken over: ${names.join('; ')}`,
      remedy: 'Start a worker: it gives their jobs to others within seconds'
    }
  }
  const waiting = tasks.filter(task => task.waiting + task.retrying > 0)
  if (alive.length === 0) {
    const count = waiting.reduce((sum, task) => sum + task.waiting + task.retrying, 0)
    if (count === 0) return
    yield {
      code: 'no-worker',
      severity: 'error',
      message: `${counted(count, 'job')} ${count === 1 ? 'waits' : 'wait'}, and no worker is running`,
      remedy: 'Start one: kretes background'
    }
    return
  }
  const unknown = waiting.filter(({ name }) => !alive.some(worker => worker.tasks.includes(name)))
  if (unknown.length > 0) {
    const named = unknown.map(({ name, waiting, retrying }) => `${name} (${waiting + retrying})`)
    yield {
      code: 'unknown-tasks',
      severity: 'error',
      message: `Jobs wait that no live worker knows: ${named.join(', ')}`,
      remedy:
        'Start a worker that has these task files, or remove the jobs: kretes background cancel <id>. For one of them, kretes background why <id> tells what the workers know'
    }
  }
}

function whenFailed(failed: number, tasks: Tasks): Finding {
  const worst = tasks.filter(task => task.failed > 0).toSorted((left, right) => right.failed - left.failed)
  const named = worst.slice(0, MOST_NAMED).map(({ name, failed }) => `${name} (${failed.toLocaleString('en')})`)
  return {
    code: 'failed-jobs',
    severity: 'warning',
    message: `${counted(failed, 'job')} ${failed === 1 ? 'has' : 'have'} failed for good and ${failed === 1 ? 'stays' : 'stay'}: ${named.join(', ')}`,
    remedy:
      'Look at them: kretes background jobs --state failed. Then retry or delete them: kretes background retry --state failed, kretes background delete --state failed'
  }
}

function whenFailing({ name, failures, ended }: { name: string; failures: number; ended: number }): Finding {
  return {
    code: 'failing-task',
    severity: 'warning',
    message: `${name} keeps failing: ${failures.toLocaleString('en')} of ${counted(ended, 'run')} in the last hour`,
    remedy: 'Look at the errors: kretes background jobs --state retrying'
  }
}

const HOUR_MS = 3_600_000
const MANY_FAILURES = 20
const SWEPT_MS = 60_000
const MOST_NAMED = 5
