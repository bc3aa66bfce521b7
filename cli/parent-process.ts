import process from 'node:process'
import { Interrupted } from './signals.ts'

/** Why a worker stops whose parent has ended: npx, npm and shells do not pass on the signal that ended them. */
export class Orphaned extends Interrupted {
  override readonly name: string = 'Orphaned'
  override message: string = 'The process that started this one has ended'

  constructor() {
    super('SIGHUP')
  }
}

/**
 * Notices that the process that started this one has ended. A process that leads a group of its own was made independent
 * on purpose: by setsid, by `&` in a terminal, or by a supervisor. It goes on.
 *
 * @param onIndependent called once when such a process goes on
 * @returns aborts with {@linkcode Orphaned}
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

/** Goes on when the terminal hangs up. */
export function ignoreHangup(): void {
  process.removeAllListeners('SIGHUP')
  process.on('SIGHUP', () => {})
}

/** A group has the number of the process that leads it. */
function leadsGroup(): boolean {
  try {
    return process.kill(-process.pid, 0)
  } catch {
    return false
  }
}

/** Read early: whoever is asked later may answer with the one that takes orphans in. */
const PARENT = process.ppid

const INTERVAL_MS = 500
