import { connectionTimings } from '../rules/timings.ts'

/** Counts seconds, but none in which a task blocks the event loop: answers may have arrived that were not read yet. */
export function afterTicks(ticks: number, callback: () => void): ReturnType<typeof setInterval> {
  let left = ticks
  return setInterval(() => {
    if (--left === 0) callback()
  }, connectionTimings.tickMs)
}
