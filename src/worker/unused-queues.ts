import type { Sql } from 'postgres'
import { codeOf } from '../database/failure.ts'
import { countQueues, lockQueues, removeUnusedQueues } from '../sql/unused-queues.ts'

/**
 * Forgets named queues that have no job, once there are so many of them that they cost something: the engine keeps every
 * name that was ever used, and to fetch a job of a queue it locks all of those that are free. A queue that is named again
 * is there again.
 *
 * Whoever schedules on a queue meanwhile waits, which is why it is done in small parts, and not at all while somebody is
 * about it.
 *
 * @returns how many were forgotten
 */
export async function forgetUnusedQueues(sql: Sql, schema: string, fewEnough: number = FEW_ENOUGH): Promise<number> {
  if ((await countQueues(sql, schema)) <= fewEnough) return 0
  let forgotten = 0
  try {
    for (;;) {
      const count = await sql.begin(async transaction =>
        (await lockQueues(transaction, schema)) ? await removeUnusedQueues(transaction, schema, MOST_AT_ONCE) : 0
      )
      forgotten += count
      if (count < MOST_AT_ONCE) return forgotten
    }
  } catch (error) {
    if (IN_USE.includes(codeOf(error) ?? '')) return forgotten
    throw error
  }
}

/** With as many, a fetch takes some 10 ms longer than with a few. */
const FEW_ENOUGH = 10_000

const MOST_AT_ONCE = 10_000

/** Somebody else has the lock, or the jobs are too many to look through while others wait. */
const IN_USE = ['55P03', '57014']
