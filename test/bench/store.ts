import { type Databases, type Filling, fillBy } from './databases.ts'
import { startRedis } from './redis.ts'
import type { System } from './report.ts'

/** Where a system keeps its jobs, for one sample. */
export interface Store extends AsyncDisposable {
  readonly url: string
}

/** A database of PostgreSQL, or a Redis server; a fresh one with these jobs. */
export async function openStore(
  databases: Databases,
  system: System,
  fillings: readonly Filling[] = []
): Promise<Store> {
  if (system !== 'bullmq') return await databases.create(system, fillings)
  const redis = await startRedis()
  for (const filling of fillings) await fillBy(system, redis.url, filling)
  return redis
}
