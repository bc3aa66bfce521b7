import { createPostgresBackend, Queue, runMigrations, Worker, withBackend } from 'bullmq'
import pg from 'pg'
import type { System } from '../../report.ts'
import { type Client, CONCURRENCY, POOL, type WorkerSettings } from '../contract.ts'

const overPostgres = withBackend(createPostgresBackend)
const NAME = 'bench'

/** On Redis or on PostgreSQL. */
export async function startWorker({ url, tasks, keepsDone }: WorkerSettings, system: System): Promise<void> {
  const options = { concurrency: CONCURRENCY, ...(keepsDone ? {} : { removeOnComplete: { count: 0 } }) }
  const perform = async ({ name, data }: { name: string; data: unknown }): Promise<void> => tasks[name]?.(data)
  const worker =
    system === 'bullmq'
      ? new Worker(NAME, perform, { ...options, connection: { url } })
      : new overPostgres.Worker(NAME, perform, {
          ...options,
          connection: { connectionString: url, max: CONCURRENCY + 2 }
        })
  worker.on('error', error => {
    throw error
  })
  await worker.waitUntilReady()
}

/** Over Redis one connection will do: commands do not wait for each other there. */
export async function openClient(url: string, system: System): Promise<Client> {
  const queue =
    system === 'bullmq'
      ? new Queue(NAME, { connection: { url } })
      : new overPostgres.Queue(NAME, { connection: { connectionString: url, max: POOL } })
  await queue.waitUntilReady()
  return {
    schedule: (task, payload) => queue.add(task, payload),
    scheduleMany: (name, payloads) => queue.addBulk(payloads.map(data => ({ name, data }))),
    count: () => queue.getJobCountByTypes('waiting', 'active', 'delayed', 'prioritized'),
    [Symbol.asyncDispose]: () => queue.close()
  }
}

/** On PostgreSQL the schema is installed by hand. */
export async function install(url: string): Promise<void> {
  const client = new pg.Client(url)
  await client.connect()
  await runMigrations(client)
  await client.end()
}
