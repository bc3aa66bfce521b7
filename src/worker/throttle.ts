/** Work that is done at most so often, however often it is asked for. */
export interface Throttled {
  /** Has it done: at once, or, when it was done just now, once for all who ask meanwhile. */
  ask(): void
  stop(): void
}

/**
 * Bounds how often work is done, whoever asks for it: anybody can send notifications, as many as they like.
 *
 * @param work never rejects
 * @param pauseMs how long it rests after each time
 */
export function throttle(work: () => Promise<void>, pauseMs: number): Throttled {
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
