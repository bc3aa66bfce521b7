import { constants } from 'node:os'
import process from 'node:process'

/** The reason of a command that a signal has ended early. */
export class Interrupted extends Error {
  override readonly name: string = 'Interrupted'
  /** 128 and the number of the signal, as in a shell. */
  readonly exitCode: number

  constructor(signal: (typeof SIGNALS)[number]) {
    super('Interrupted')
    this.exitCode = 128 + constants.signals[signal]
  }
}

/** The stages of stopping that a person or a supervisor has asked for. */
export interface Signals {
  /** Aborts at the first signal, with {@linkcode Interrupted}. */
  readonly stop: AbortSignal
  /** Aborts at the second: stop immediately. */
  readonly stopNow: AbortSignal
  /** Aborts at the third: drop everything. */
  readonly drop: AbortSignal
}

/** Handles Ctrl-C, SIGTERM and SIGHUP. */
export function listenForSignals(): Signals {
  const stages = [new AbortController(), new AbortController(), new AbortController()] as const
  let lastMs = Number.NEGATIVE_INFINITY
  for (const signal of SIGNALS) {
    process.on(signal, () => {
      // The terminal signals this process, and npx and npm pass the same Ctrl-C on.
      const isEcho = performance.now() - lastMs < ECHO_MS
      lastMs = performance.now()
      if (!isEcho) stages.find(stage => !stage.signal.aborted)?.abort(new Interrupted(signal))
    })
  }
  const [stop, stopNow, drop] = stages
  return { stop: stop.signal, stopNow: stopNow.signal, drop: drop.signal }
}

/**
 * Waits for work that does not handle signals itself. The first signal ends the wait, or only the second if the work
 * must tidy up something, such as a server.
 */
export async function interruptible<Result>(
  work: Promise<Result>,
  { stop, stopNow }: Pick<Signals, 'stop' | 'stopNow'>,
  mustTidyUp: boolean
): Promise<Result> {
  const signal = mustTidyUp ? stopNow : stop
  const { promise: aborted, reject } = Promise.withResolvers<never>()
  const forget = onAbort(signal, () => reject(signal.reason))
  try {
    return await Promise.race([work, aborted])
  } catch (error) {
    // Ctrl-C also reaches the processes that the work has started, and their end makes it fail.
    throw stop.aborted ? stop.reason : error
  } finally {
    forget()
  }
}

/** Signals that give work some time to end gracefully after the first signal. The second one ends it immediately. */
export function withGrace<Context extends Pick<Signals, 'stop' | 'stopNow'>>(
  context: Context,
  graceMs: number
): Context {
  const later = new AbortController()
  const { stop, stopNow } = context
  onAbort(stop, () => setTimeout(() => later.abort(stop.reason), graceMs))
  return { ...context, stop: AbortSignal.any([later.signal, stopNow]) }
}

/** Calls back when a signal aborts, at once if it has. Returns a function that ends this. */
export function onAbort(signal: AbortSignal, callback: () => void): () => void {
  if (signal.aborted) callback()
  else signal.addEventListener('abort', callback, { once: true })
  return () => signal.removeEventListener('abort', callback)
}

const SIGNALS = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const

const ECHO_MS = 200
