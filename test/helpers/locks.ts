import type { Sql } from 'postgres'
import { until } from './until.ts'

/** Resolves when a statement in the database waits for a lock: of a table, or an advisory one. Others share the server. */
export async function awaitedLock(sql: Sql): Promise<void> {
  await until(async () => {
    const waits = await sql`
      select from pg_locks
      where not granted and database = (select oid from pg_database where datname = current_database())`
    return waits.length > 0
  })
}
