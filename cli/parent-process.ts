import process from 'node:process'
import { Interrupted } from './signals.ts'

/** The reason to stop when the parent process has ended: npx, npm and shells do not pass on the signal that ends them. */
export class Orphaned extends Interrupted {
  override readonly name: string = 'Orphaned'
  override message: string = 'The process that started this one has ended'

  constructor() {
    super('SIGHUP')
  }
}

/**
 * Watches for the end of the parent process. A process that leads its own process group was made independent on purpose,
 * by setsid, by `&` in a terminal, or by a supervisor: it continues.
 *
 * @param onIndependent called once when such a process continues
 * @returns a signal that aborts with {@linkcode Orphaned}
 */
export function watchParent(onIndependent: () => void): AbortSignal {
  const orphaned = new AbortController()
  const round = setInterval(() => {
    if (process.ppid === PARENT) return
    clearInterval(round)
    if (leadsGroup()) onIndependent()
    else orphaned.abort(new Orphaned())
  }, INTERVAL_MS)
  round.unref()
  return orphaned.signal
}

/** Keeps the process running when its terminal closes. */
export function ignoreHangup(): void {
  process.removeAllListeners('SIGHUP')
  process.on('SIGHUP', () => {})
}

/** The id of a process group is the id of the process that leads it. */
function leadsGroup(): boolean {
  try {
    return process.kill(-process.pid, 0)
  } catch {
    return false
  }
}

/** Read at start: later, the parent may have ended and been replaced by the process that adopts orphans. */
const PARENT = process.ppid

const INTERVAL_MS = 500
