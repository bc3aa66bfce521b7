import { setTimeout as sleep } from 'node:timers/promises'
import { createBackground } from '../../../src/background.ts'
import type { Task } from '../../../src/task.ts'
import { startWorker } from '../../../src/worker/mod.ts'
import { readSettings, tell } from './messages.ts'

/** What the process gets. */
export interface ResultSettings {
  url: string
  count: number
}

/** What it finds out: from the end of each task to the result in the hands of who waits for it. */
export interface ResultResult {
  settledMs: number[]
}

// Who waits and the worker are one process, for the sake of one clock; they share nothing else. All wait before the
// first job begins, and the jobs end one after another, about two hundred a second.
const { url, count } = readSettings<ResultSettings>()
const endedMs: number[] = []
const Work: Task<{ number: number }, number> = async ({ number }) => {
  await sleep(20 + Math.random() * 60)
  endedMs[number] = performance.now()
  return number
}
await using _worker = await startWorker({ connection: url, tasks: { Work } })
await using background = createBackground({ connection: url })

async function measure(size: number): Promise<number[]> {
  const payloads = Array.from({ length: size }, (_, number) => ({ number }))
  const jobs = await background.scheduleMany({ task: Work, payloads, delay: 1_000 })
  return await Promise.all(
    jobs.map(async job => {
      const number = await job.result({ timeout: '1m' })
      return performance.now() - (endedMs[number] ?? 0)
    })
  )
}

await measure(50)
const result: ResultResult = { settledMs: await measure(count) }
await tell({ result })
