import type { System } from '../report.ts'
import type { Client, SystemModule, WorkerSettings } from './contract.ts'

/** The payload of every job, unless a measure needs another. */
export const payload = { to: 'admin@example.com' }

/** Starts a worker. Each system is loaded only into the processes that measure it. */
export async function startWorkerOf(system: System, settings: WorkerSettings): Promise<void> {
  const { startWorker } = await modules[system]()
  await startWorker(settings, system)
}

/** Opens a client with a pool of four connections. */
export async function openClientOf(system: System, url: string): Promise<Client> {
  const { openClient } = await modules[system]()
  return await openClient(url, system)
}

const graphile = (): Promise<SystemModule> => import('./systems/graphile.ts')
const bullmq = (): Promise<SystemModule> => import('./systems/bullmq.ts')

const modules: Record<System, () => Promise<SystemModule>> = {
  kretes: () => import('./systems/kretes.ts'),
  defaults: graphile,
  tuned: graphile,
  pgboss: () => import('./systems/pgboss.ts'),
  bullmq,
  bullmqPostgres: bullmq
}
