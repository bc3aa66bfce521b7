import { type Execute, type Fragment, identifier, statement } from '../statement.ts'

/**
 * Changes the counters so that they can be folded in small steps, and counts queues in a table of their own. So the
 * number of sums by task, state and duration stays small, even with many queue names.
 *
 * - `level`: 0 for recorded counters, 1 for minutes, 2 for hours. The primary key finds the counters of a level by
 *   time.
 * - `queue_counters`: the same sums by queue. Folding keeps only the sums of the {@linkcode BUSIEST} queues.
 *
 * The column `queue` of `counters` stays, because older workers write it. Folding clears it.
 */
export async function splitCounters(execute: Execute, own: string): Promise<void> {
  await execute(statement`
    alter table ${identifier(own)}.counters
      add column level smallint not null default 0,
      add column id bigint generated always as identity,
      add primary key (level, minute, id)`)
  await execute(statement`drop index if exists ${identifier(own)}.counters_minute_idx`)
  await execute(statement`
    create table ${identifier(own)}.queue_counters (
      minute timestamptz not null,
      runs integer not null,
      duration_bucket smallint not null,
      queue text not null,
      state text not null,
      waiting_ms double precision not null,
      running_ms double precision not null,
      level smallint not null default 0,
      id bigint generated always as identity,
      primary key (level, minute, id)
    )`)
}

/** The number of queues whose sums each folding step keeps for a minute or an hour: the queues with the most runs. */
const BUSIEST = 200

/** The maximum number of unfolded queue counters that a query reads. Workers fold counters twice a minute. */
export const NEWEST = 10_000

/** A folding step: it turns counters of one level into fewer counters of the next level. */
export interface Folding {
  readonly table: 'counters' | 'queue_counters'
  readonly unit: 'minute' | 'hour'
  /** Only counters before this time, in ISO 8601; `null` for all. */
  readonly before: string | null
  /** The maximum number of rows to fold, so that no statement takes long. */
  readonly limit: number
}

/**
 * Merges all counters that count the same in the same minute or hour into one row. The total stays the same, except for
 * queues that are not among the busiest.
 *
 * @returns how many rows were folded, and how many rows replace them
 */
export async function foldCounters(
  execute: Execute,
  own: string,
  folding: Folding
): Promise<{ from: number; to: number }> {
  const { table, unit, before, limit } = folding
  const counters: Fragment = { sql: `${identifier(own).sql}.${table}` }
  const name: Fragment = { sql: table === 'counters' ? 'task' : 'queue' }
  const level = LEVELS[unit]
  const until = statement`level = ${{ sql: String(level - 1) }} and minute < coalesce(${before}::text::timestamptz, 'infinity')`
  const [row] = await execute<{ from: string; to: string }>(statement`
    with gone as (
      delete from ${counters}
      where ${until} and (minute, id) <= (
        select minute, id
        from (select minute, id from ${counters} where ${until} order by minute, id limit ${{ sql: String(limit) }}) part
        order by minute desc, id desc limit 1
      )
      returning
        date_trunc(${unit}::text, minute, 'UTC') as minute, runs, duration_bucket, ${name}, state, waiting_ms, running_ms
    ), folded as (
      insert into ${counters} (level, minute, runs, duration_bucket, ${name}, state, waiting_ms, running_ms)
      select ${{ sql: String(level) }}, minute, sum(runs), duration_bucket, ${name}, state, sum(waiting_ms), sum(running_ms)
      from gone
      ${{ sql: table === 'counters' ? '' : BUSIEST_ONLY }}
      group by minute, duration_bucket, ${name}, state
      returning 1
    )
    select (select count(*)::text from gone) as from, (select count(*)::text from folded) as to`)
  return { from: Number(row?.from), to: Number(row?.to) }
}

/** Removes the counters before a time, in ISO 8601. */
export async function removeCounters(execute: Execute, own: string, before: string): Promise<void> {
  for (const table of ['counters', 'queue_counters']) {
    await execute(statement`
      delete from ${identifier(own)}.${identifier(table)}
      where level in (0, 1, 2) and minute < ${before}::text::timestamptz`)
  }
}

/**
 * The counters of queues since a time, as an SQL expression for a view and for statements. Of the unfolded counters,
 * the expression reads only the newest.
 */
export function queueCounters(own: string, since: string): string {
  return `(
        select * from ${own}.queue_counters where level in (1, 2) and minute >= ${since}
        union all
        (
          select * from ${own}.queue_counters where level = 0 and minute >= ${since}
          order by minute desc, id desc limit ${NEWEST}
        )
      )`
}

/**
 * Among queues with the same number of runs, the choice is arbitrary: comparing thousands of names takes longer than
 * the rest.
 */
const BUSIEST_ONLY = `
      join (
        select minute, queue, row_number() over (partition by minute order by sum(runs) desc) as place
        from gone
        group by minute, queue
      ) ranked using (minute, queue)
      where place <= ${BUSIEST}`

const LEVELS = { minute: 1, hour: 2 } as const
