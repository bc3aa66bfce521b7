import { createBackground } from '../../src/background.ts'
import type { Task } from '../../src/task.ts'
import type { Worker, WorkerOptions } from '../../src/worker/mod.ts'
import { onceDone } from '../helpers/cleanup.ts'
import { createDatabase, type TestDatabase } from '../helpers/database.ts'
import { until } from '../helpers/until.ts'
import { work as startTestWorker } from '../worker/work.ts'

/** A database without jobs, and a Background for it. */
export interface Prepared {
  readonly database: TestDatabase
  readonly background: ReturnType<typeof createBackground>
}

/** A worker that polls so seldom finds no job by polling while a test waits. */
export const POLL = { pollInterval: 600_000 } as const

/** Prepares a database that is up to date. */
export async function prepare(options: { readonly schema?: string } = {}): Promise<Prepared> {
  const database = await createDatabase()
  const background = createBackground({ connection: database.url, ...options })
  onceDone(() => background.close())
  await background.migrate()
  return { database, background }
}

/** Starts a worker, which {@linkcode stopWorkers} stops. */
export async function work(database: TestDatabase, options: WorkerOptions): Promise<Worker> {
  const worker = await startTestWorker(database, options)
  started.push(worker)
  return worker
}

/** Stops the workers of a test. Each has many connections, and the server has few. */
export async function stopWorkers(): Promise<void> {
  await Promise.all(started.splice(0).map(worker => worker.stop({ timeout: 0 })))
}

const started: Worker[] = []

/** Tasks that write down what they run: their name, and the number `n` of the payload if there is one. */
export function noting(...names: string[]): { readonly ran: string[]; readonly tasks: Record<string, Task> } {
  const ran: string[] = []
  const note =
    (name: string): Task =>
    ({ n }) =>
      void ran.push(n === undefined ? name : `${name} ${n}`)
  return { ran, tasks: Object.fromEntries(names.map(name => [name, note(name)])) }
}

/** Waits until tasks of {@linkcode noting} have run so often. */
export async function hasRun(ran: readonly string[], count: number): Promise<void> {
  await until(() => ran.length >= count, { what: `${count} runs, of which there are ${ran.join(', ')}` })
}

/** How many jobs a worker has locked. */
export async function countLocked({ sql }: TestDatabase): Promise<number> {
  const rows = await sql`select from graphile_worker._private_jobs where locked_by is not null`
  return rows.length
}

/** Waits until a worker is registered. */
export async function registered({ sql }: TestDatabase, count = 1): Promise<void> {
  await until(async () => (await sql`select from kretes.workers`).length === count)
}
