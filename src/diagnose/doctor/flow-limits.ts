import { type LimitStateRow, listLimits, readLeases } from '../../sql/flow/limits.ts'
import { readWorkers } from '../../sql/ledger/status.ts'
import type { Access } from '../../sql/statement.ts'
import { counted, lengthOf } from '../../text/amounts.ts'
import { type Finding, warning } from './finding.ts'
import type { Limits } from './limits.ts'

/** Examines whether limits hold back jobs for long, and whether lost workers still have slots. */
export async function examineLimits(access: Access, { limitWaitMs }: Limits): Promise<Finding[]> {
  const [limits, leases, workers] = [await listLimits(access), await readLeases(access), await readWorkers(access)]
  const alive = new Set(workers.flatMap(({ id, isAlive }) => (isAlive ? [id] : [])))
  const findings = limits.flatMap(({ kind, name, perKey, concurrency, rate, waiting, oldestMs }) => {
    if (oldestMs === null || oldestMs < limitWaitMs) return []
    const [label, target] = namesOf(kind, name)
    const each = perKey ? ' for each key' : ''
    const sizes = [concurrency === null ? [] : `${concurrency} at a time`, rate ?? []].flat().join(', ')
    const options = [concurrency === null ? [] : '--concurrency <number>', rate === null ? [] : '--rate <rate>'].flat()
    const message = `The limit ${label} (${sizes}${each}) may be too low: ${counted(waiting, 'due job')} ${waiting === 1 ? 'waits' : 'wait'}, the oldest for ${lengthOf(oldestMs)}`
    return [
      warning(
        'limit-starves',
        message,
        `Raise it, if its service can bear more: kretes background limits set ${target} ${options.join(' ')}`
      )
    ]
  })
  const lost = leases.filter(({ worker }) => !alive.has(worker))
  if (lost.length === 0) return findings
  const slots = lost.reduce((sum, { slots }) => sum + slots, 0)
  const message = `${counted(slots, 'slot')} of limits belong to workers that are lost: ${lost.map(({ worker }) => worker).join(', ')}`
  return [
    ...findings,
    warning('lost-slots', message, 'Running workers free them within seconds. Start one: kretes background')
  ]
}

/** How messages name a limit, and how commands do. */
function namesOf(kind: LimitStateRow['kind'], name: string): readonly [label: string, options: string] {
  if (kind === 'task') return [`of ${name}`, `--task ${name}`]
  return kind === 'queue' ? [`of the queue ${name}`, `--queue ${name}`] : [name, `--limit ${name}`]
}
