import { readSettings, tell } from './messages.ts'
import { startWorkerOf } from './system.ts'

/** What the process gets. */
export interface MemorySettings {
  url: string
  count: number
  /** How often to look, in jobs. */
  every: number
}

/** What it finds out. */
export interface MemoryResult {
  /** The resident memory after every so many jobs, in bytes. */
  residentBytes: number[]
}

// A worker in a process of its own, as long as there are jobs.
const { url, count, every } = readSettings<MemorySettings>()
const residentBytes: number[] = []
const finished = Promise.withResolvers<void>()
let ran = 0
const Trivial = async (): Promise<void> => {
  ran++
  if (ran % every === 0) residentBytes.push(process.memoryUsage.rss())
  if (ran === count) finished.resolve()
}
await startWorkerOf('kretes', { url, tasks: { Trivial } })
await finished.promise
const result: MemoryResult = { residentBytes }
await tell({ result })
