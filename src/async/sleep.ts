/** A sleep that a call can end early. A call that comes before the sleep ends it at once. */
export interface Sleep {
  readonly wake: () => void
  /** Sleeps for at most so many milliseconds; resolves to true if {@linkcode Sleep.wake} was called. */
  wait(ms: number): Promise<boolean>
}

/** Creates a sleep. */
export function createSleep(): Sleep {
  let isWoken = false
  let end: ((isWoken: boolean) => void) | undefined
  return {
    wake() {
      isWoken = true
      end?.(true)
    },
    async wait(ms) {
      if (!isWoken && ms > 0) {
        let timer: NodeJS.Timeout | undefined
        await new Promise<boolean>(resolve => {
          end = resolve
          if (Number.isFinite(ms)) timer = setTimeout(() => resolve(false), ms)
        })
        clearTimeout(timer)
        end = undefined
      }
      const answer = isWoken
      isWoken = false
      return answer
    }
  }
}
