/** Lets in so many at a time; the others wait outside, in order. */
export interface Gate {
  /** A promise only for who has to wait. */
  enter(): Promise<void> | undefined
  leave(): void
  /** Resolves when nobody is inside or waits. */
  whenEmpty(): Promise<void>
}

/** Makes a gate. */
export function createGate(limit: number): Gate {
  let outside: (() => void)[] = []
  let next = 0
  let inside = 0
  let announce: (() => void) | undefined
  return {
    enter() {
      if (inside < limit) {
        inside++
        return undefined
      }
      return new Promise(resolve => void outside.push(resolve))
    },
    leave() {
      const admit = outside[next]
      if (admit) {
        // The place is handed over, so that nobody who comes now is faster.
        admit()
        // While a backlog lasts, those who were let in are forgotten as well: half of the list at a time costs little.
        if (++next * 2 >= outside.length) {
          outside = outside.slice(next)
          next = 0
        }
        return
      }
      inside--
      if (inside === 0) announce?.()
    },
    whenEmpty() {
      return new Promise(resolve => {
        announce = resolve
        if (inside === 0) resolve()
      })
    }
  }
}
