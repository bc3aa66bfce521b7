/** Wakes whoever waits for it; one who comes late finds that it has rung. */
export interface Bell {
  readonly ring: () => void
  /** Waits until it rings, or for so many milliseconds; true if it has rung. */
  rings(ms: number): Promise<boolean>
}

/** Makes a bell. */
export function createBell(): Bell {
  let hasRung = false
  let wake: ((hasRung: boolean) => void) | undefined
  return {
    ring() {
      hasRung = true
      wake?.(true)
    },
    async rings(ms) {
      if (!hasRung && ms > 0) {
        let timer: NodeJS.Timeout | undefined
        await new Promise<boolean>(resolve => {
          wake = resolve
          if (Number.isFinite(ms)) timer = setTimeout(() => resolve(false), ms)
        })
        clearTimeout(timer)
        wake = undefined
      }
      const answer = hasRung
      hasRung = false
      return answer
    }
  }
}
