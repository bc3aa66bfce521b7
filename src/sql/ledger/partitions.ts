import type { ISql, Sql } from 'postgres'
import { NOW_MS } from '../times.ts'

/** Days, as numbers of days since 1970-01-01 in UTC: the first one, and the one after the last. */
export interface Days {
  readonly from: number
  readonly to: number
}

/** The day of a time. */
export function dayOf(date: Date): number {
  return Math.floor(date.getTime() / DAY_MS)
}

/** The time by the clock of the database, which is the only one that decides what is old. */
export async function readClock(sql: ISql): Promise<Date> {
  const [row] = await sql<{ ms: string }[]>`select ${sql.unsafe(NOW_MS)} as ms`
  return new Date(Number(row!.ms))
}

/**
 * Makes the partitions of the ledger that are missing for some days. A partition is made as a table of its own and then
 * attached, since that waits for nobody who reads or writes the others.
 */
export async function createPartitions(sql: Sql, own: string, { from, to }: Days): Promise<void> {
  const names = await existing(sql, own)
  for (let day = from; day < to; day++) {
    for (const isFailure of [false, true]) {
      const name = partitionOf(day, isFailure)
      if (names.has(name)) continue
      await sql`create table if not exists ${sql(own)}.${sql(name)} (like ${sql(own)}.ledger including defaults)`
      await identify(sql, own, name)
      await sql`
        alter table ${sql(own)}.ledger attach partition ${sql(own)}.${sql(name)}
        for values from (${literal(sql, String(isFailure))}, ${literal(sql, midnight(day))})
          to (${literal(sql, String(isFailure))}, ${literal(sql, midnight(day + 1))})`
    }
  }
}

/** What a partition is called: `ledger_20260131`, that of failures `ledger_20260131_failures`. */
export function partitionOf(day: number, isFailure: boolean): string {
  return `ledger_${midnight(day).slice(0, 10).replaceAll('-', '')}${isFailure ? '_failures' : ''}`
}

/** The day of a partition, and whether it holds failures, by its name. */
export function readPartitionName(name: string): { readonly day: number; readonly isFailure: boolean } {
  const [, year, month, date] = /^ledger_(\d{4})(\d\d)(\d\d)/.exec(name) ?? []
  return { day: dayOf(new Date(`${year}-${month}-${date}T00:00:00Z`)), isFailure: name.endsWith('_failures') }
}

/** Does for the partitions that are there what {@linkcode createPartitions} does for new ones. */
export async function identifyPartitions(sql: Sql, own: string): Promise<void> {
  for (const name of await existing(sql, own)) await identify(sql, own, name)
}

/** So that rows can be removed where all tables are published; a key would cost more than that happens. */
async function identify(sql: Sql, own: string, name: string): Promise<void> {
  await sql`alter table ${sql(own)}.${sql(name)} replica identity full`
}

async function existing(sql: Sql, own: string): Promise<ReadonlySet<string>> {
  const rows = await sql<{ name: string }[]>`
    select relname as name from pg_inherits
    join pg_class on pg_class.oid = inhrelid
    where inhparent = (quote_ident(${own}) || '.ledger')::regclass`
  return new Set(rows.map(({ name }) => name))
}

/** Bounds of a partition are no place for parameters; what comes here is made of digits above. */
function literal(sql: Sql, value: string): ReturnType<Sql['unsafe']> {
  return sql.unsafe(`'${value}'`)
}

function midnight(day: number): string {
  return new Date(day * DAY_MS).toISOString()
}

const DAY_MS = 86_400_000
