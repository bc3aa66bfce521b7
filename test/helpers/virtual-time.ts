import { mock } from 'node:test'

/** Time that passes only when a test says so, for code that reads `performance.now` and uses `setTimeout`. */
export interface VirtualTime {
  /** Lets so many milliseconds pass; timers that come due meanwhile run. */
  pass(ms: number): void
  [Symbol.dispose](): void
}

/** Begins at 0, and replaces the time of this process until it is disposed. A busy machine has no influence on it. */
export function virtualTime(): VirtualTime {
  const { now } = performance
  let nowMs = 0
  performance.now = () => nowMs
  mock.timers.enable({ apis: ['setTimeout'] })
  return {
    pass(ms) {
      nowMs += ms
      mock.timers.tick(ms)
    },
    [Symbol.dispose]() {
      performance.now = now
      mock.timers.reset()
    }
  }
}
