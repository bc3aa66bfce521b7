/** A pending callback. */
export interface Timer {
  clear(): void
}

/**
 * Calls back after any number of milliseconds. The runtime's own timer would call back at once for more than 24 days.
 *
 * @param options.ref whether the timer keeps the process alive
 */
export function setTimer(ms: number, act: () => void, { ref = true }: { readonly ref?: boolean } = {}): Timer {
  let timer: NodeJS.Timeout
  function wait(leftMs: number): void {
    const stepMs = Math.min(leftMs, LONGEST_TIMER_MS)
    timer = setTimeout(() => (leftMs > stepMs ? wait(leftMs - stepMs) : act()), stepMs)
    if (!ref) timer.unref()
  }
  wait(ms)
  return { clear: () => clearTimeout(timer) }
}

/** A little less than the longest time of the runtime's own timer, in milliseconds. */
export const LONGEST_TIMER_MS: number = 24 * 86_400_000
