/**
 * The worker's side of kretes: runs the jobs that an application schedules.
 *
 * @example Run the tasks of a directory until the process is asked to stop
 * ```ts
 * import { startWorker } from 'kretes/worker'
 *
 * const worker = await startWorker({ tasks: 'tasks', concurrency: 20, logger: console })
 * for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => worker.stop())
 * await worker.finished
 * ```
 *
 * @module
 */
export type { Keep } from '../rules/retention.ts'
export type { ChoiceOptions } from './choice.ts'
export { type GuardOptions, guardProcess } from './execution/uncaught.ts'
export type { LedgerOptions, WorkerOptions } from './options.ts'
export { startWorker, type Worker } from './worker.ts'
