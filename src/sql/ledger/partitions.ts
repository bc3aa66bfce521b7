import { type Execute, type Fragment, identifier, statement } from '../statement.ts'

/** Days, as numbers of days since 1970-01-01 in UTC: the first day, and the day after the last. */
export interface Days {
  readonly from: number
  readonly to: number
}

/** The day of a time. */
export function dayOf(date: Date): number {
  return Math.floor(date.getTime() / DAY_MS)
}

/**
 * Creates the missing partitions of the ledger for some days. Each partition is created as a separate table and then
 * attached. Attaching does not wait for statements that read or write the other partitions.
 */
export async function createPartitions(execute: Execute, own: string, { from, to }: Days): Promise<void> {
  const names = await existing(execute, own)
  for (let day = from; day < to; day++) {
    for (const isFailure of [false, true]) {
      const name = partitionOf(day, isFailure)
      if (names.has(name)) continue
      await execute(statement`
        create table if not exists ${identifier(own)}.${identifier(name)} (like ${identifier(own)}.ledger including defaults)`)
      await identify(execute, own, name)
      await execute(statement`
        alter table ${identifier(own)}.ledger attach partition ${identifier(own)}.${identifier(name)}
        for values from (${literal(String(isFailure))}, ${literal(midnight(day))})
          to (${literal(String(isFailure))}, ${literal(midnight(day + 1))})`)
    }
  }
}

/** The name of a partition: `ledger_20260131`, or `ledger_20260131_failures` for failures. */
export function partitionOf(day: number, isFailure: boolean): string {
  return `ledger_${midnight(day).slice(0, 10).replaceAll('-', '')}${isFailure ? '_failures' : ''}`
}

/** Reads the day of a partition, and whether it holds failures, from its name. */
export function readPartitionName(name: string): { readonly day: number; readonly isFailure: boolean } {
  const [, year, month, date] = /^ledger_(\d{4})(\d\d)(\d\d)/.exec(name) ?? []
  return { day: dayOf(new Date(`${year}-${month}-${date}T00:00:00Z`)), isFailure: name.endsWith('_failures') }
}

/** Applies the replica identity of {@linkcode createPartitions} to existing partitions. */
export async function identifyPartitions(execute: Execute, own: string): Promise<void> {
  for (const name of await existing(execute, own)) await identify(execute, own, name)
}

/**
 * Allows the removal of rows in a database that publishes all tables. A primary key would cost more, because rows are
 * rarely removed.
 */
async function identify(execute: Execute, own: string, name: string): Promise<void> {
  await execute(statement`alter table ${identifier(own)}.${identifier(name)} replica identity full`)
}

async function existing(execute: Execute, own: string): Promise<ReadonlySet<string>> {
  const rows = await execute<{ name: string }>(statement`
    select relname as name from pg_inherits
    join pg_class on pg_class.oid = inhrelid
    where inhparent = (quote_ident(${own}::text) || '.ledger')::regclass`)
  return new Set(rows.map(({ name }) => name))
}

/** The bounds of a partition cannot be parameters. All values are booleans and times from this file. */
function literal(value: string): Fragment {
  return { sql: `'${value}'` }
}

function midnight(day: number): string {
  return new Date(day * DAY_MS).toISOString()
}

const DAY_MS = 86_400_000
