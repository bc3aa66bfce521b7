import { PgBoss } from 'pg-boss'
import { type BenchTask, type Client, CONCURRENCY, POOL, type WorkerSettings } from '../contract.ts'

/**
 * Ten workers that each fetch fifty jobs at a time and run them one after another, and fetch again without a pause while
 * fetches come back full.
 */
export async function startWorker({ url, tasks }: WorkerSettings): Promise<void> {
  const boss = await open(url, CONCURRENCY + 2)
  const options = {
    localConcurrency: CONCURRENCY,
    batchSize: 50,
    burstWhenBatchFull: true,
    pollingIntervalSeconds: 0.5
  }
  const work = (name: string, task: BenchTask): Promise<string> =>
    boss.work(name, options, async jobs => {
      for (const { data } of jobs) await task(data)
    })
  await work('Trivial', tasks.Trivial!)
}

/** Tasks are queues there. */
export async function openClient(url: string): Promise<Client> {
  const boss = await open(url, POOL)
  return {
    schedule: (task, payload) => boss.send(task, payload),
    scheduleMany: (task, payloads) =>
      boss.insert(
        task,
        payloads.map(data => ({ data }))
      ),
    async count() {
      const { rows } = await boss
        .getDb()
        .executeSql("select count(*)::int as count from pgboss.job where name = 'Trivial' and state < 'completed'")
      return rows[0].count
    },
    [Symbol.asyncDispose]: () => boss.stop({ graceful: false })
  }
}

/** Neither maintains nor watches the clock, which would only cost it; who finds no connection free waits. */
async function open(connectionString: string, max: number): Promise<PgBoss> {
  const settings = { connectionString, max, connectionTimeoutMillis: 600_000 }
  const boss = new PgBoss({ ...settings, supervise: false, schedule: false })
  boss.on('error', error => {
    throw error
  })
  await boss.start()
  await boss.createQueue('Trivial')
  return boss
}
