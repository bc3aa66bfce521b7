import { nameOf, resumeCommand, toPause } from '../../flow/pauses.ts'
import { listPauses } from '../../sql/flow/pauses.ts'
import { readNow } from '../../sql/recurring/entries.ts'
import type { Access } from '../../sql/statement.ts'
import { lengthOf } from '../../text/amounts.ts'
import { type Finding, warning } from './finding.ts'
import type { Limits } from './limits.ts'

/** Examines whether something has been paused for so long that it may have been forgotten. */
export async function examinePauses(access: Access, { pauseAgeMs }: Limits): Promise<Finding[]> {
  const [pauses, nowMs] = [(await listPauses(access)).map(toPause), await readNow(access)]
  return pauses.flatMap(pause => {
    const { since, by, reason } = pause
    const ageMs = nowMs - since.getTime()
    if (ageMs < pauseAgeMs) return []
    const what = nameOf(pause)
    const message = `${what[0]!.toUpperCase()}${what.slice(1)} has been paused for ${lengthOf(ageMs)}, by ${by}${reason === null ? '' : `: ${reason}`}`
    return [warning('long-pause', message, `Its jobs wait. Resume it: ${resumeCommand(pause)}`)]
  })
}
