import type { Pause } from '../../src/flow/pauses.ts'
import type { Output } from '../context.ts'
import { fields } from '../terminal/fields.ts'
import { plainTime } from './times.ts'

/** Since when, by whom and why something is paused. */
export function pauseFields({ since, by, reason }: Pause, { style, width }: Output): string {
  const rows: [string, string][] = [
    ['since', plainTime(since)],
    ['by', by],
    ...(reason === null ? [] : [['reason', reason] as [string, string]])
  ]
  return fields(rows, style, { indent: '  ', width })
}
