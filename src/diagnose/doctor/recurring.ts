import { readWorkers } from '../../sql/ledger/status.ts'
import { readNow } from '../../sql/recurring/entries.ts'
import { countRecurring, findNamesOf, findRecurringTasks } from '../../sql/recurring/monitor.ts'
import type { Access } from '../../sql/statement.ts'
import { counted, lengthOf } from '../../text/amounts.ts'
import { type Finding, problem } from './finding.ts'

/** Examines whether the occurrences of recurring jobs are scheduled, and whether workers know their tasks. */
export async function examineRecurring(access: Access): Promise<Finding[]> {
  const { count, next } = await countRecurring(access)
  if (count === 0) return []
  const [workers, tasks, nowMs] = [await readWorkers(access), await findRecurringTasks(access), await readNow(access)]
  const alive = workers.filter(({ isAlive }) => isAlive)
  const unknown = alive.length === 0 ? [] : tasks.filter(task => !alive.some(worker => worker.tasks.includes(task)))
  const findings: Finding[] = []
  for (const task of unknown.slice(0, MOST_NAMED)) findings.push(whenUnknown(task, await findNamesOf(access, task, 3)))
  const lateMs = next ? nowMs - next.atMs : 0
  if (next && lateMs > LATE_MS) findings.push(whenLate(next.name, lateMs, alive.length))
  return findings
}

function whenUnknown(task: string, names: readonly string[]): Finding {
  return problem(
    'recurring-unknown-task',
    `No live worker knows ${task}, the task of recurring jobs: ${names.map(name => JSON.stringify(name)).join(', ')}`,
    'Start a worker that has this task file, or remove them: kretes background cron remove <name>'
  )
}

function whenLate(name: string, lateMs: number, workers: number): Finding {
  const state = workers === 0 ? 'no worker is running' : `${counted(workers, 'worker')} did not schedule it`
  return problem(
    'recurring-late',
    `The recurring job ${JSON.stringify(name)} has been due for ${lengthOf(lateMs)}, and ${state}`,
    workers === 0 ? 'Start one: kretes background' : 'Look for errors about it in the logs of the workers'
  )
}

/** How late an occurrence is if something is wrong. */
const LATE_MS = 60_000
const MOST_NAMED = 5
