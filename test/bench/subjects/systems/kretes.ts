import postgres from 'postgres'
import { createBackground } from '../../../../src/background.ts'
import { type Client, POOL, type WorkerSettings } from '../contract.ts'

/** With its defaults, but for the ledger where jobs that are done are not to be kept. */
export async function startWorker({ url, tasks, keepsDone = true }: WorkerSettings): Promise<void> {
  const { startWorker } = await import('../../../../src/worker/mod.ts')
  await startWorker({ connection: url, tasks, ...(!keepsDone && { ledger: false }) })
}

/** With its defaults. */
export async function openClient(url: string): Promise<Client> {
  const background = createBackground({ connection: url, maxConnections: POOL })
  return {
    schedule: (task, payload) => background.schedule({ task, payload }),
    scheduleMany: (task, payloads) => background.scheduleMany({ task, payloads }),
    async count() {
      const sql = postgres(url, { max: 1 })
      const [row] = await sql<{ count: number }[]>`select count(*)::int as count from graphile_worker._private_jobs`
      await sql.end()
      return row?.count ?? 0
    },
    [Symbol.asyncDispose]: () => background.close()
  }
}
