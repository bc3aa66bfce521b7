import type { CommandContext, Style } from '../context.ts'

/** How far a piece of work has come. */
export interface Progress {
  /** How many jobs have been sent. */
  readonly count: number
  /** How much of the input has been read, from 0 to 1; `undefined` if its size is unknown. */
  readonly share: number | undefined
}

/** Returns a function that draws progress on a terminal, a few times a second at most; nothing at quiet log levels. */
export function createProgressBar({ output, logLevel }: CommandContext): (progress: Progress) => void {
  if (logLevel !== 'info' && logLevel !== 'debug') return () => {}
  const { status, noticeStyle } = output
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

function draw(share: number, style: Style): string {
  const full = Math.floor(share * WIDTH)
  const percent = `${Math.floor(share * 100)} %`.padStart(5)
  return `${style('green', '█'.repeat(full))}${style('dim', '░'.repeat(WIDTH - full))} ${percent}`
}

/** To two digits: the others change too fast to read. */
function toRate(count: number, elapsedMs: number): string {
  const rate = (count / Math.max(elapsedMs, 1)) * 1_000
  return Number(rate.toPrecision(2)).toLocaleString('en')
}

const WIDTH = 24
const REDRAW_MS = 100
