import type { Output } from '../context.ts'

/** How far a piece of work has come. */
export interface Progress {
  /** How many jobs were sent. */
  readonly count: number
  /** How much of the input that took, from 0 to 1; `undefined` where nobody knows its end. */
  readonly share: number | undefined
}

/** Draws progress on a terminal, a few times a second at most. */
export function createBar({
  status,
  noticeStyle
}: Pick<Output, 'status' | 'noticeStyle'>): (progress: Progress) => void {
  const started = performance.now()
  let drawn = Number.NEGATIVE_INFINITY
  return ({ count, share }) => {
    const now = performance.now()
    if (now - drawn < REDRAW_MS) return
    drawn = now
    const parts = [`${count.toLocaleString('en')} jobs`, noticeStyle('dim', `${toRate(count, now - started)}/s`)]
    if (share !== undefined) parts.unshift(draw(Math.min(share, 1), noticeStyle))
    status(`  ${parts.join('  ')}`)
  }
}

function draw(share: number, style: Output['noticeStyle']): string {
  const full = Math.floor(share * WIDTH)
  const percent = `${Math.floor(share * 100)} %`.padStart(5)
  return `${style('green', '█'.repeat(full))}${style('dim', '░'.repeat(WIDTH - full))} ${percent}`
}

/** To two digits: the rest changes faster than anybody reads. */
function toRate(count: number, elapsedMs: number): string {
  const rate = (count / Math.max(elapsedMs, 1)) * 1_000
  return Number(rate.toPrecision(2)).toLocaleString('en')
}

const WIDTH = 24
const REDRAW_MS = 100
