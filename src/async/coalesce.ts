/** Work whose calls are joined. */
export interface Coalesced {
  /** Runs the work now. During a run or its pause, all calls together cause one more run after the pause. */
  ask(): void
  stop(): void
}

/**
 * Joins calls of work, and so limits how often the work runs. Notifications trigger this work, and any login can send
 * any number of them.
 *
 * @param work must not reject
 * @param pauseMs how long to pause after each run, in milliseconds
 */
export function coalesce(work: () => Promise<void>, pauseMs: number): Coalesced {
  let isBusy = false
  let isAsked = false
  let isStopped = false
  let pause: NodeJS.Timeout | undefined

  async function run(): Promise<void> {
    isBusy = true
    isAsked = false
    await work()
    if (isStopped) return
    pause = setTimeout(() => {
      isBusy = false
      if (isAsked) ask()
    }, pauseMs)
    pause.unref()
  }

  function ask(): void {
    isAsked = true
    if (!isBusy && !isStopped) void run()
  }

  return {
    ask,
    stop() {
      isStopped = true
      clearTimeout(pause)
    }
  }
}
