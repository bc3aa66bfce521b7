/** Limits how many calls are under way at a time. Other calls wait, in order. */
export interface Semaphore {
  /** Returns a promise only if the caller has to wait. */
  acquire(): Promise<void> | undefined
  release(): void
  /** Resolves when no call is under way or waits. */
  whenIdle(): Promise<void>
}

/** Creates a semaphore. */
export function createSemaphore(limit: number): Semaphore {
  let waiting: (() => void)[] = []
  let next = 0
  let active = 0
  let announceIdle: (() => void) | undefined
  return {
    acquire() {
      if (active < limit) {
        active++
        return undefined
      }
      return new Promise(resolve => void waiting.push(resolve))
    },
    release() {
      const admit = waiting[next]
      if (admit) {
        // The first in line takes the place, so that no new call overtakes it.
        admit()
        // Drops admitted calls even while others always wait. Half of the list at a time costs little.
        if (++next * 2 >= waiting.length) {
          waiting = waiting.slice(next)
          next = 0
        }
        return
      }
      active--
      if (active === 0) announceIdle?.()
    },
    whenIdle() {
      return new Promise(resolve => {
        announceIdle = resolve
        if (active === 0) resolve()
      })
    }
  }
}
