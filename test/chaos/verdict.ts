import type { Arena } from './arena.ts'

/** What the record says of a round. */
export interface Verdict {
  readonly jobs: number
  /** Jobs that never ran to their end, and do not wait for another attempt either. */
  readonly lost: number
  /** Jobs that began more than once. */
  readonly duplicates: number
  /** Jobs that began once more after they had run to their end. */
  readonly rerun: number
  /** Pairs of jobs of one queue that ran at the same time. */
  readonly overlaps: number
  /** Jobs that began before one that stood in front of them in their queue. */
  readonly overtaken: number
  /** Jobs and queues that are still locked. */
  readonly locked: number
  /** Jobs that have failed at least once, or have used an attempt without being run. */
  readonly failed: number
}

/** Judges by the record, when all is over. */
export async function judge({ sql }: Arena): Promise<Verdict> {
  const [verdict] = await sql<Verdict[]>`
    with runs as (
      select *, row_number() over (partition by job order by started_at) as nth from chaos.runs
    ), firsts as (
      select jobs.queue, jobs.n, runs.started_at
      from runs join chaos.jobs using (job)
      where nth = 1 and jobs.queue is not null
    )
    select
      (select count(*)::int from chaos.jobs) as jobs,
      (
        select count(*)::int from chaos.jobs
        where task <> 'Abort'
          and not exists (select from runs where runs.job = jobs.job and ended_at is not null)
      ) as lost,
      (select count(distinct job)::int from runs where nth > 1) as duplicates,
      (
        select count(distinct later.job)::int
        from runs later join runs earlier on earlier.job = later.job and later.started_at > earlier.ended_at
      ) as rerun,
      (
        select count(*)::int
        from runs a join runs b on a.queue = b.queue and a.id < b.id
        where a.started_at < b.ended_at and b.started_at < a.ended_at
      ) as overlaps,
      (
        select count(*)::int
        from (select n, lag(n) over (partition by queue order by started_at) as previous from firsts) as ordered
        where n < previous
      ) as overtaken,
      (
        (select count(*) from graphile_worker._private_jobs where locked_at is not null)
        + (select count(*) from graphile_worker._private_job_queues where locked_at is not null)
      )::int as locked,
      (select count(*)::int from chaos.jobs where exists (
        select from graphile_worker._private_jobs where id = jobs.job and last_error is not null
      )) as failed`
  if (!verdict) throw new Error('Cannot judge: the record gave no answer')
  return verdict
}

/**
 * The same after workers were killed, which excuses that the jobs that they held then ran twice: they were running, or
 * had ended and not yet been completed. No other may.
 */
export async function demandAfterLoss(arena: Arena, held: readonly string[]): Promise<Verdict> {
  const verdict = await judge(arena)
  demand(verdict, { duplicates: held.length, rerun: held.length })
  const innocent = await arena.sql<{ job: string }[]>`
    select job::text as job from chaos.runs
    where job <> all (string_to_array(${held.join(',')}, ',')::bigint[])
    group by job having count(*) > 1`
  if (innocent.length === 0) return verdict
  throw new Error(`Jobs ran twice that no killed worker held: ${innocent.map(({ job }) => job).join(', ')}`)
}

/** Fails, naming all that is wrong, unless nothing was lost and no more ran twice than may. */
export function demand(
  verdict: Verdict,
  { duplicates = 0, rerun = 0 }: { duplicates?: number; rerun?: number } = {}
): void {
  const limits: Partial<Record<keyof Verdict, number>> = {
    lost: 0,
    overlaps: 0,
    overtaken: 0,
    locked: 0,
    duplicates,
    rerun
  }
  const wrong = Object.entries(limits).filter(([name, limit]) => verdict[name as keyof Verdict] > limit)
  if (wrong.length === 0) return
  const found = wrong.map(([name, limit]) => `${name} ${verdict[name as keyof Verdict]} instead of at most ${limit}`)
  throw new Error(`The record shows: ${found.join(', ')}; ${JSON.stringify(verdict)}`)
}
