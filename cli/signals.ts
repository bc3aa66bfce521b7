import { constants } from 'node:os'
import process from 'node:process'

/** Why a command ended before its time: somebody asked for it. */
export class Interrupted extends Error {
  override readonly name: string = 'Interrupted'
  /** As a shell has it for a process that a signal ends. */
  readonly exitCode: number

  constructor(signal: (typeof SIGNALS)[number]) {
    super('Interrupted')
    this.exitCode = 128 + constants.signals[signal]
  }
}

/** What a person, or whoever supervises the process, wants of it by now. */
export interface Signals {
  /** Aborts at the first signal, with {@linkcode Interrupted}. */
  readonly stop: AbortSignal
  /** Aborts at the second: stop at once. */
  readonly stopNow: AbortSignal
  /** Aborts at the third: drop everything. */
  readonly drop: AbortSignal
}

/** Takes over Ctrl-C and its like. */
export function listenForSignals(): Signals {
  const stages = [new AbortController(), new AbortController(), new AbortController()] as const
  let lastMs = Number.NEGATIVE_INFINITY
  for (const signal of SIGNALS) {
    process.on(signal, () => {
      // npx and npm pass Ctrl-C on to a process that the terminal has signalled as well.
      const isEcho = performance.now() - lastMs < ECHO_MS
      lastMs = performance.now()
      if (!isEcho) stages.find(stage => !stage.signal.aborted)?.abort(new Interrupted(signal))
    })
  }
  const [stop, stopNow, drop] = stages
  return { stop: stop.signal, stopNow: stopNow.signal, drop: drop.signal }
}

/**
 * Waits for work that does not look at signals itself. A signal ends the wait; the first one only if the work leaves
 * nothing behind that it would have tidied up, such as a server.
 */
export async function interruptible<Result>(
  work: Promise<Result>,
  { stop, stopNow }: Pick<Signals, 'stop' | 'stopNow'>,
  mustTidyUp: boolean
): Promise<Result> {
  const end = whenAborted(mustTidyUp ? stopNow : stop)
  try {
    return await Promise.race([work, end.aborted])
  } catch (error) {
    // Ctrl-C reaches the processes that the work has started too, and then it fails because of them.
    throw stop.aborted ? stop.reason : error
  } finally {
    end.forget()
  }
}

/** The same signal, some time later. */
export function delayed(signal: AbortSignal, byMs: number): AbortSignal {
  const later = new AbortController()
  const wait = (): void => void setTimeout(() => later.abort(signal.reason), byMs)
  if (signal.aborted) wait()
  else signal.addEventListener('abort', wait, { once: true })
  return later.signal
}

/** A promise that rejects with the signal's reason. */
function whenAborted(signal: AbortSignal): { aborted: Promise<never>; forget: () => void } {
  const { promise, reject } = Promise.withResolvers<never>()
  const onAbort = (): void => reject(signal.reason)
  if (signal.aborted) onAbort()
  else signal.addEventListener('abort', onAbort, { once: true })
  return { aborted: promise, forget: () => signal.removeEventListener('abort', onAbort) }
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

const ECHO_MS = 200
