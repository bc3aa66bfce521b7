import { type LimitOfJob, readLimitsOf } from '../sql/flow/limited-job.ts'
import type { Access } from '../sql/statement.ts'
import { counted } from '../text/amounts.ts'
import type { Reason } from './reason.ts'

/** Explains which limits hold back a due job. */
export async function whileLimited(
  access: Access,
  { id, task }: { readonly id: string; readonly task: string }
): Promise<Reason[]> {
  const limited = await readLimitsOf(access, id)
  if (!limited) return []
  const { key, queue, before } = limited
  const count = before === 0 ? 'no job' : counted(before, 'job')
  const kind = queue === null ? (key === null ? 'task' : 'key') : 'queue'
  const place = `${count} of its ${kind} ${before > 1 ? 'come' : 'comes'} before it`
  return limited.limits.flatMap(limit => {
    const label = labelOf(limit, task, key)
    const reasons = [...whileHeld(limit, label), ...whileTooManyBegin(limit, label), ...whileTooManyRun(limit, label)]
    return reasons.map(reason => ({ ...reason, message: `${reason.message}; ${place}`, count: before }))
  })
}

function labelOf({ name, isKeyed }: LimitOfJob, task: string, key: string | null): string {
  const [kind, ...rest] = name.split(' ')
  const shown = rest.join(' ')
  const limit =
    kind === 'limit' ? `the limit ${shown}` : `the limit of ${kind === 'queue' ? `its queue ${shown}` : task}`
  return isKeyed ? `${limit} for the key ${key === '' ? "''" : key}` : limit
}

function* whileHeld({ heldUntil }: LimitOfJob, label: string): Iterable<Reason> {
  if (heldUntil === null) return
  const at = new Date(heldUntil)
  yield {
    code: 'rate-limited',
    message: `It waits until ${at.toISOString()}: a run has held ${label} (RateLimited)`,
    at
  }
}

function* whileTooManyBegin({ rate, most, begun, next }: LimitOfJob, label: string): Iterable<Reason> {
  if (most === null || next === null || begun < most) return
  const at = new Date(next)
  const message = `It waits for ${label}: its rate is ${rate}, and ${begun} ${begun === 1 ? 'job has' : 'jobs have'} begun. The next can at ${at.toISOString()}`
  yield { code: 'rate-reached', message, at }
}

function* whileTooManyRun({ concurrency, used, workers }: LimitOfJob, label: string): Iterable<Reason> {
  if (concurrency === null || used < concurrency) return
  const shown = workers.slice(0, MOST_WORKERS).join(', ')
  const by = workers.length > MOST_WORKERS ? `${shown} and ${workers.length - MOST_WORKERS} more` : shown
  yield { code: 'limit-reached', message: `It waits for ${label}: ${used} of ${concurrency} in use, by ${by}` }
}

/** The most workers in a message. */
const MOST_WORKERS = 3
