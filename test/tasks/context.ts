import type { TaskContext } from '../../src/task.ts'

/** A context as the worker would give it, and what the task has logged and reported. */
export interface TestContext extends TaskContext {
  readonly lines: string[]
  readonly reports: [fraction: number, message: string | undefined][]
}

/** Makes a context for calling a task directly, as a unit test of an application would. */
export function contextFor(task: string, { attempt = 1, signal = new AbortController().signal } = {}): TestContext {
  const lines: string[] = []
  const reports: TestContext['reports'] = []
  const log = (message: string): void => void lines.push(message)
  const scheduledAt = new Date('2026-01-02T03:04:05.678Z')
  const job = { id: '12', task, queue: null, priority: 0, runAt: scheduledAt, attempts: attempt, maxAttempts: 25 }
  return {
    job: { ...job, key: null, scheduledAt, schedule: null, occurrence: null },
    occurrence: null,
    attempt,
    signal,
    logger: { debug: log, info: log, warn: log, error: log },
    log,
    progress: (fraction, message) => void reports.push([fraction, message]),
    lines,
    reports
  }
}
