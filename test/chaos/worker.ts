import { setTimeout as sleep } from 'node:timers/promises'
import { createLogger } from '../../cli/output/logger.ts'
import type { TaskContext } from '../../src/task.ts'
import { startWorker } from '../../src/worker/mod.ts'
import { createRecord } from './record.ts'

/**
 * A worker as a process of its own: `node worker.ts '<options>'`. Its connection is CHAOS_WORKER_URL; what its jobs do
 * is written through CHAOS_RECORD_URL, which no fault of the network touches.
 */

const { CHAOS_WORKER_URL: connection, CHAOS_RECORD_URL: recordUrl = '' } = process.env
const record = createRecord(recordUrl)

interface Input {
  /** How long the job takes. */
  ms?: number
}

const tasks = {
  Work: ({ ms = 0 }: Input, { job, attempt }: TaskContext) =>
    record.run(job, attempt, () => (ms > 0 ? sleep(ms) : undefined)),

  /** Leaves its record to the ledger. */
  Light: ({ ms = 0 }: Input) => sleep(ms),

  /** Keeps the event loop for itself. */
  Block: ({ ms = 0 }: Input, { job, attempt }: TaskContext) =>
    record.run(job, attempt, () => {
      const endMs = performance.now() + ms
      while (performance.now() < endMs);
    }),

  /** Takes its worker down. */
  Abort: ({ ms = 0 }: Input, { job, attempt }: TaskContext) =>
    record.run(job, attempt, async () => {
      await sleep(ms)
      process.abort()
    })
}

const { quiet = true, ...options } = JSON.parse(process.argv[2] ?? '{}')
const write = (line: string): void => void process.stdout.write(`${line}\n`)
const { debug, info, warn, error } = createLogger({
  level: 'debug',
  format: 'pretty',
  style: (_format, text) => text,
  write
})
const logger = {
  debug: quiet ? () => {} : debug,
  info: (message: string, fields?: Record<string, unknown>) => {
    if (!quiet || !String(fields?.event).startsWith('job.')) info(message, fields)
  },
  warn,
  error
}
const worker = await startWorker({ connection, tasks, logger, ...options })

const stop = async (): Promise<void> => {
  const { unfinished } = await worker.stop()
  await record.end()
  write(`stopped, ${unfinished} unfinished`)
  process.exitCode = unfinished > 0 ? 1 : 0
}
process.once('SIGTERM', stop)
process.once('SIGINT', stop)
// Whoever reads it may send a signal the next moment.
write('ready')
