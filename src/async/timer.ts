/** A callback that is still to come. */
export interface Timer {
  clear(): void
}

/**
 * Calls back after so many milliseconds, however many: the runtime's own timer calls back at once after more than 24
 * days.
 *
 * @param options.ref whether it keeps the process alive meanwhile
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

/** A little less than the longest time that a timer of the runtime's takes, in milliseconds. */
export const LONGEST_TIMER_MS: number = 24 * 86_400_000
