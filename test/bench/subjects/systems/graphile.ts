import { Logger, makeWorkerUtils, run } from 'graphile-worker'
import pg from 'pg'
import type { System } from '../../report.ts'
import { type Client, CONCURRENCY, POOL, type WorkerSettings } from '../contract.ts'

const logger = new Logger(() => () => {})

/** With its defaults, or tuned. */
export async function startWorker({ url, tasks }: WorkerSettings, system: System): Promise<void> {
  const tuning = {
    maxPoolSize: CONCURRENCY + 2,
    preset: { worker: { localQueue: { size: 50 }, completeJobBatchDelay: 0, failJobBatchDelay: 0 } }
  }
  const runner = await run({
    connectionString: url,
    taskList: tasks,
    concurrency: CONCURRENCY,
    noHandleSignals: true,
    parsedCronItems: [],
    logger,
    ...(system === 'tuned' ? tuning : {})
  })
  runner.promise.catch(error => {
    throw error
  })
}

/** Its utilities for scheduling have nothing to tune but the pool. */
export async function openClient(url: string): Promise<Client> {
  // Of its own pool it does not wait for the end.
  const pgPool = new pg.Pool({ connectionString: url, max: POOL })
  // It says so where its users forget to listen.
  const ignore = (): void => {}
  pgPool.on('error', ignore).on('connect', connection => void connection.on('error', ignore))
  const utils = await makeWorkerUtils({ pgPool, logger })
  return {
    schedule: (task, payload, runAt) => utils.addJob(task, payload, runAt ? { runAt } : {}),
    scheduleMany: (identifier, payloads) => utils.addJobs(payloads.map(payload => ({ identifier, payload }))),
    async count() {
      const { rows } = await pgPool.query<{ count: number }>(
        'select count(*)::int as count from graphile_worker._private_jobs'
      )
      return rows[0]?.count ?? 0
    },
    async [Symbol.asyncDispose]() {
      await utils.release()
      await pgPool.end()
    }
  }
}
