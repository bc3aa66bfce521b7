import { setTimeout as sleep } from 'node:timers/promises'

/** Checks a condition every few milliseconds until it holds. Returns false if that takes too long. */
export async function until(condition: () => Promise<boolean>, timeoutMs: number): Promise<boolean> {
  const deadline = performance.now() + timeoutMs
  while (!(await condition())) {
    if (performance.now() > deadline) return false
    await sleep(10)
  }
  return true
}
