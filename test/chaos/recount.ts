import type { Arena } from './arena.ts'
import type { Verdict } from './verdict.ts'

/** What the ledger says of the jobs of an arena; all but `jobs` and `losses` should be nothing. */
interface Recount {
  readonly jobs: number
  /** Jobs that lost a run with a worker. */
  readonly losses: number
  /** Jobs that the engine still has. */
  readonly left: number
  /** Jobs without a run that succeeded. */
  readonly missing: number
  /** Jobs with more than one of them. */
  readonly repeated: number
  /** Runs of jobs that nobody has scheduled. */
  readonly foreign: number
  /** Runs that neither succeeded nor were lost. */
  readonly others: number
  /** Sums of the counters that differ from those over the runs. */
  readonly miscounted: number
  /** Rows of the rates that differ from the runs of their minute. */
  readonly misrated: number
  readonly locked: number
}

/**
 * Fails unless each job is done and has exactly one run that succeeded, all that was counted is there to be counted
 * again, and just the jobs that killed workers left behind have a lost run, one for each time.
 *
 * @param held the jobs that each of them left behind
 */
export async function demandLedger(arena: Arena, held: readonly string[]): Promise<Verdict> {
  const { jobs, losses, locked, ...wrong } = await recount(arena)
  const found = Object.entries({ ...wrong, locked }).filter(([, count]) => count !== 0)
  if (found.length > 0) {
    throw new Error(`The ledger shows: ${found.map(([name, count]) => `${name} ${count}`).join(', ')} of ${jobs} jobs`)
  }
  const lost = await arena.sql<{ id: string }[]>`
    select job_id::text as id from kretes.runs where state = 'lost'`
  const difference = compare(
    held,
    lost.map(({ id }) => id)
  )
  if (difference) throw new Error(`The lost runs are not those that killed workers held: ${difference}`)
  return { jobs, lost: 0, duplicates: losses, rerun: 0, overlaps: 0, overtaken: 0, locked, failed: 0 }
}

async function recount({ sql }: Arena): Promise<Recount> {
  const [row] = await sql<Recount[]>`
    with by_job as materialized (
      select job, count(*) filter (where state = 'succeeded') as succeeded, count(*) filter (where state = 'lost') as lost
      from chaos.jobs left join kretes.runs on job_id = job
      group by job
    ), of_minute as materialized (
      select
        date_trunc('minute', finished_at) as minute, task, state, count(*) as runs,
        coalesce(sum(date_part('epoch', took) * 1000), 0) as running_ms
      from kretes.runs
      group by 1, 2, 3
    ), summed as (
      select task, state, sum(runs) as runs, sum(running_ms) as running_ms
      from of_minute group by 1, 2
    ), counted as (
      select task, state, sum(runs) as runs, sum(running_ms) as running_ms
      from kretes.counters group by 1, 2
    )
    select
      (select count(*)::int from by_job) as jobs,
      (select count(*)::int from by_job where lost > 0) as losses,
      (select count(*)::int from graphile_worker._private_jobs) as left,
      (select count(*)::int from by_job where succeeded = 0) as missing,
      (select count(*)::int from by_job where succeeded > 1) as repeated,
      (select count(*)::int from kretes.runs where job_id not in (select job from chaos.jobs)) as foreign,
      (select count(*)::int from kretes.runs where state not in ('succeeded', 'lost')) as others,
      (
        select count(*)::int
        from summed a
        full join counted b using (task, state)
        where a.runs is distinct from b.runs or abs(a.running_ms - b.running_ms) > 1
      ) as miscounted,
      (
        select count(*)::int
        from of_minute a
        full join kretes.rates b using (minute, task, state)
        where a.runs is distinct from b.runs or abs(a.running_ms - b.running_ms) > 1
      ) as misrated,
      (select count(*)::int from graphile_worker._private_job_queues where locked_at is not null) as locked`
  if (!row) throw new Error('Cannot recount: the ledger gave no answer')
  return row
}

/** In which ids two lists differ, in whatever order they are. */
function compare(expected: readonly string[], actual: readonly string[]): string | undefined {
  const balance = new Map<string, number>()
  for (const id of expected) balance.set(id, (balance.get(id) ?? 0) + 1)
  for (const id of actual) balance.set(id, (balance.get(id) ?? 0) - 1)
  const odd = [...balance].filter(([, count]) => count !== 0)
  if (odd.length === 0) return undefined
  const some = odd.slice(0, 10).map(([id, count]) => `${id} (${count > 0 ? 'not recorded' : 'not held'})`)
  return `${odd.length} of ${expected.length} held and ${actual.length} recorded, such as ${some.join(', ')}`
}
