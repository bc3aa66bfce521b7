import type { Kept } from '../ledger/record.ts'
import type { Statement } from '../statement.ts'
import { completeJobs } from './complete.ts'
import type { Ending } from './ending.ts'
import { requeueOrFailJobs } from './requeue.ts'

/**
 * The statements that write how runs ended. The caller may repeat one or all of them: they skip jobs that by then
 * belong to another run or another worker.
 *
 * @param kept which runs the ledger keeps; `undefined` records nothing
 */
export function settleJobs(
  schema: string,
  kept: Kept | undefined,
  worker: string,
  endings: readonly Ending[]
): readonly Statement[] {
  const isOver = ({ next }: Ending): boolean => next.kind === 'remove'
  const recorded = kept ? endings.filter(({ isRecorded }) => isRecorded) : []
  const groups = [
    { kept, part: recorded },
    { kept: undefined, part: recorded.length === endings.length ? [] : endings.filter(one => !recorded.includes(one)) }
  ]
  return groups.flatMap(({ kept, part }) => {
    const over = part.filter(isOver)
    const others = over.length === part.length ? [] : part.filter(one => !isOver(one))
    return [
      ...(over.length > 0 ? [completeJobs(schema, kept, worker, over)] : []),
      ...(others.length > 0 ? [requeueOrFailJobs(schema, kept, worker, others)] : [])
    ]
  })
}
