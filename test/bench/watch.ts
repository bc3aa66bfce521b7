import { setTimeout as sleep } from 'node:timers/promises'
import type { Sql } from 'postgres'
import { until } from '../helpers/until.ts'
import { cpuMsOf } from './backends.ts'
import type { Databases, Filling } from './databases.ts'
import { startSubject } from './subject.ts'
import type { DrainResult, DrainSettings } from './subjects/drain.ts'

/** How a queue is watched. */
export interface WatchOptions {
  workers: number
  /** How many jobs a second are added to the queue meanwhile. */
  feed: number
  windowMs: number
}

/** What was seen, for each second. */
export interface Spent {
  rate: number
  /** Milliseconds on the processor, of the workers' connections. */
  cpu: number
}

/** Starts workers, each a process, on a queue that is longer than they can drain, and watches for a while. */
export async function watchQueue(databases: Databases, { workers, feed, windowMs }: WatchOptions): Promise<Spent> {
  const filling: Filling = { task: 'Trivial', count: 200_000, queues: 1 }
  await using database = await databases.create('kretes', [filling])
  await using stack = new AsyncDisposableStack()
  const settings = { system: 'kretes', url: database.url, count: 1e9, warmUp: 0, limitMs: 600_000 } as const
  const subjects = Array.from({ length: workers }, () =>
    stack.use(startSubject<DrainSettings, DrainResult>('drain', settings))
  )
  await Promise.all(subjects.map(({ ready }) => ready))
  const { sql } = database
  await until(async () => (await jobsLeft(sql)) < filling.count - 50, { what: 'the first jobs of the queue' })
  await sleep(500)

  const before = { cpuMs: await cpuMsOf(sql), left: await jobsLeft(sql), ms: performance.now() }
  const added = await feedQueue(sql, feed, windowMs)
  const after = { cpuMs: await cpuMsOf(sql), left: await jobsLeft(sql), ms: performance.now() }
  if (after.left === 0) throw new Error('Cannot watch the queue: it ran dry')
  const seconds = (after.ms - before.ms) / 1_000
  return {
    rate: (before.left + added - after.left) / seconds,
    cpu: (after.cpuMs - before.cpuMs) / seconds
  }
}

/** Adds jobs at a steady rate until the time is over, on the one connection whose cost is not counted. */
async function feedQueue(sql: Sql, rate: number, durationMs: number): Promise<number> {
  const startedMs = performance.now()
  const elapsedMs = (): number => performance.now() - startedMs
  let added = 0
  while (elapsedMs() < durationMs) {
    for (; added < (elapsedMs() / 1_000) * rate; added++) {
      await sql`select from graphile_worker.add_job('Trivial', '{}', queue_name => 'queue 0')`
    }
    await sleep(10)
  }
  return added
}

async function jobsLeft(sql: Sql): Promise<number> {
  const [row] = await sql<{ left: number }[]>`select count(*)::int as left from graphile_worker._private_jobs`
  return row?.left ?? 0
}
