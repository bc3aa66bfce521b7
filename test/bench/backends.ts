import { readFile } from 'node:fs/promises'
import type { Sql } from 'postgres'

/**
 * How long the connections of a database that are open now have been on the processor, without the one that asks; NaN
 * where the system does not tell.
 */
export async function cpuMsOf(sql: Sql): Promise<number> {
  const backends = await sql<{ pid: number }[]>`
    select pid from pg_stat_activity
    where datname = current_database() and backend_type = 'client backend' and pid <> pg_backend_pid()`
  const times = await Promise.all(backends.map(({ pid }) => cpuMsOfProcess(pid)))
  return times.reduce((sum, time) => sum + time, 0)
}

/** Linux counts it in nanoseconds. */
async function cpuMsOfProcess(pid: number): Promise<number> {
  const text = await readFile(`/proc/${pid}/schedstat`, 'utf8').catch(() => '')
  return Number(text.split(' ')[0] || Number.NaN) / 1e6
}
