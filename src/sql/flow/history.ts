import { ownSchema } from '../names.ts'
import { type Execute, identifier, statement } from '../statement.ts'

/** Creates the table of what was in use of limits, minute by minute. */
export async function createHistory(execute: Execute, own: string): Promise<void> {
  await execute(statement`
    create table if not exists ${identifier(own)}.limit_minutes (
      minute timestamptz not null,
      kind text not null,
      name text not null,
      per_key boolean not null,
      concurrency integer,
      rate text,
      used bigint not null,
      keys_used bigint,
      begun bigint,
      waiting bigint not null,
      oldest_waiting interval,
      primary key (minute, kind, name, per_key)
    )`)
}

/** Creates the view of it. */
export async function createHistoryView(execute: Execute, own: string): Promise<void> {
  await execute(statement`
    create view ${identifier(own)}.limit_history as
    select minute, kind, name, per_key, concurrency, rate, used, keys_used, begun, waiting, oldest_waiting
    from ${identifier(own)}.limit_minutes`)
}

/** Writes down what is in use of the limits, once a minute, whichever worker is the first; and removes what is older than a day. */
export async function sampleLimits(execute: Execute, schema: string): Promise<void> {
  const own = identifier(ownSchema(schema))
  await execute(statement`
    insert into ${own}.limit_minutes
    select
      date_trunc('minute', now()), kind, name, per_key, concurrency, rate, used, keys_used, begun, waiting, oldest_waiting
    from ${own}.limits
    where used > 0 or waiting > 0 or begun > 0
    order by waiting desc, used desc
    limit (select case when exists (
      select from ${own}.limit_minutes where minute = date_trunc('minute', now())
    ) then 0 else ${{ sql: MOST }} end)
    on conflict do nothing`)
  await execute(statement`delete from ${own}.limit_minutes where minute < now() - interval '1 day'`)
}

/** How many limits are written down for a minute: those with the most waiting jobs. */
const MOST = '200'
