import { setTimeout as sleep } from 'node:timers/promises'

/** For how long, and how often, {@linkcode until} asks. */
export interface UntilOptions {
  /** @default 180,000: this decides only when a failure is told, and a busy machine may be ten times slower. */
  timeoutMs?: number
  /** @default 10 */
  intervalMs?: number
  /** What is awaited, for the error's message. */
  what?: string
}

/** Asks until the answer is truthy, and returns it. */
export async function until<T>(condition: () => T | Promise<T>, options: UntilOptions = {}): Promise<T> {
  const { timeoutMs = 180_000, intervalMs = 10, what = condition.toString() } = options
  const deadline = performance.now() + timeoutMs
  for (;;) {
    const answer = await condition()
    if (answer) return answer
    if (performance.now() > deadline) {
      throw new Error(`Cannot wait any longer: after ${timeoutMs} ms still ${JSON.stringify(answer)} for ${what}`)
    }
    await sleep(intervalMs)
  }
}

/**
 * Waits for work that must end before a timer of this process which starts with it. A busy machine delays both alike,
 * so this tells in which order things happen, not how long they take.
 */
export async function endsBefore<T>(limitMs: number, work: () => Promise<T>): Promise<T> {
  const limit = new AbortController()
  const isOver = sleep(limitMs, true, { signal: limit.signal }).catch(() => false)
  try {
    const result = await Promise.race([
      work().then(value => ({ value })),
      isOver.then(() => new Error(`Cannot wait any longer: a timer of ${limitMs} ms was first`))
    ])
    if (result instanceof Error) throw result
    return result.value
  } finally {
    limit.abort()
  }
}
