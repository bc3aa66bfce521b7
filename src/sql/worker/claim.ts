import { type Execute, type Fragment, identifier, type Statement, statement, textArray } from '../statement.ts'

/** A row of {@linkcode claimJobs}, with the types of node-postgres. */
export interface ClaimedJob {
  readonly id: string
  readonly job_queue_id: number | null
  readonly queue_name: string | null
  /** The name of the job's task in the database now. The ids of tasks may have changed since the worker started. */
  readonly task_name: string
  readonly payload: unknown
  readonly priority: number
  /** A number if the time is infinite. */
  readonly run_at: Date | number
  readonly attempts: number
  readonly max_attempts: number
  readonly key: string | null
  readonly created_at: Date
  readonly locked_at: Date
  readonly flags: Readonly<Record<string, unknown>> | null
  readonly last_error: string | null
  /** Whether the claim left jobs out because their payloads are too large to take together. */
  readonly is_cut: boolean
}

/** The parameters of {@linkcode claimJobs}. */
export interface ClaimRequest {
  readonly worker: string
  /** The names of the tasks that the worker runs. */
  readonly tasks: readonly string[]
  /** The maximum number of jobs without a queue, and of queues. */
  readonly size: number
  /** The maximum number of jobs from all queues together. Each queue gives one at least. */
  readonly queued?: number
  /** Whether to look for queues with jobs. Otherwise the claim takes jobs only from the queues `also`. */
  readonly scans?: boolean
  /** The ids of queues to look at in any case. */
  readonly also?: readonly number[]
  /** The ids of queues to skip. */
  readonly without?: readonly number[]
  /** The maximum number of jobs from a queue, by the id of the queue. Other queues have no maximum of their own. */
  readonly most?: ReadonlyMap<number, number>
}

/**
 * Locks jobs for a worker in the same order as the engine. It differs from the engine in four points:
 *
 * - It takes several jobs of a queue together. The worker runs them one after another, in the order of the rows.
 * - Many queue names cost no more than few. The engine locks all free queues before it looks for jobs. This statement
 *   locks a queue only when it finds a job of the queue.
 * - It identifies tasks and queues by their names. After a `restart identity`, an id may belong to another task or
 *   queue.
 * - It limits the total size of the payloads, so that they fit into the worker's memory.
 *
 * {@linkcode jobsOf} reads the rows.
 */
export function claimJobs(schema: string, request: ClaimRequest): Statement {
  const { worker, tasks, size, queued = size, scans = true, also = [], without = [], most = NO_MAXIMUM } = request
  const name = `kretes_claim${size}_${queued}${scans ? '' : '_also'}`
  const key = `${name} ${schema}`
  const text = texts.get(key) ?? claiming(identifier(schema).sql, { size, queued, scans })
  texts.set(key, text)
  const values = [
    worker,
    textArray(tasks),
    textArray(without),
    textArray([...most.keys()]),
    textArray([...most.values()]),
    textArray(also)
  ]
  return { name, text, values }
}

/**
 * Reads the jobs of a claim. If there are none, jobs of stuck queues may hide others. `stuck` then holds the ids of
 * these queues, and the next claim skips them. A queue is stuck if a transaction has locked its first job, or if the
 * queue is locked although no worker has a job of the queue.
 */
export function jobsOf<Row>(rows: readonly Row[]): {
  readonly jobs: readonly Row[]
  readonly stuck: readonly number[]
} {
  const [first] = rows as unknown as { id: string | null; stuck_queues: number[] | null }[]
  return first?.id === null ? { jobs: [], stuck: first.stuck_queues ?? [] } : { jobs: rows, stuck: [] }
}

const texts = new Map<string, string>()
const NO_MAXIMUM: ReadonlyMap<number, number> = new Map()

/**
 * Creates an index that finds the queues with a job that a worker has. It contains no jobs without a queue, so these
 * jobs cost nothing.
 *
 * Earlier versions removed queues without jobs. A job that was added at the same moment could lose its queue and never
 * run. This migration adds the missing queue again under another name.
 */
export async function indexBusyQueues(execute: Execute, schema: string): Promise<void> {
  await execute(statement`
    insert into ${identifier(schema)}._private_job_queues (id, queue_name) overriding system value
    select distinct job_queue_id, 'forgotten queue ' || job_queue_id from ${identifier(schema)}._private_jobs job
    where job_queue_id is not null
      and not exists (select from ${identifier(schema)}._private_job_queues queue where queue.id = job.job_queue_id)
    on conflict do nothing`)
  await execute(statement`
    create index if not exists kretes_busy_queues on ${identifier(schema)}._private_jobs (job_queue_id)
    where locked_at is not null and job_queue_id is not null`)
}

/**
 * Creates the indexes from which workers fetch.
 *
 * - The engine's index, under its own name, but without the jobs of queues. A fetch that looks for other jobs then never
 *   passes over the backlog of a queue. One more index beside the engine's would slow down each call that schedules.
 *   Workers of graphile-worker itself cannot use the index any more.
 * - The same for jobs of queues.
 * - An index that finds the first jobs of a queue in their exact order. The others do not sort jobs with the same run
 *   time, and the jobs of one call all have the same.
 */
export async function indexQueues(execute: Execute, schema: string): Promise<void> {
  const jobs: Fragment = { sql: `${identifier(schema).sql}._private_jobs` }
  await execute(statement`drop index if exists ${identifier(schema)}.jobs_main_index`)
  await execute(statement`
    create index jobs_main_index on ${jobs} (priority, run_at) include (id, task_id)
    where is_available and job_queue_id is null`)
  await execute(statement`
    create index if not exists kretes_queued on ${jobs} (priority, run_at) include (id, task_id, job_queue_id)
    where is_available and job_queue_id is not null`)
  await execute(statement`
    create index if not exists kretes_queues_in_order on ${jobs} (job_queue_id, priority, run_at, id)
    where is_available and job_queue_id is not null`)
}

/**
 * The statement first reads the front of the waiting jobs from the indexes alone. It locks the free queues of the front
 * and then the first jobs of each, up to an equal share. It takes these jobs up to the first that is locked,
 * so that no later job overtakes it. Then it locks jobs without a queue, in order, and skips jobs that another worker
 * has locked. It takes no more of these jobs than the front contains: jobs behind the front must not overtake other
 * queues. It checks each condition again on the locked row, which may have changed.
 *
 * It takes no queue with a job that a worker has. The row of a queue alone would not do: another worker may have let go
 * of the queue and its jobs since the statement began. The statement would not see these jobs yet, and later ones would
 * overtake them. This condition is a scalar subquery: the server may run an anti join by reading all jobs that workers
 * have, once for each queue.
 *
 * The sizes are part of the text, because the plan depends on it. Without the limit of `next`, for example, the server would
 * expect a tenth of all jobs there, and read the whole table.
 */
function claiming(engine: string, { size, queued, scans }: Sizes): string {
  const isWaiting = (job: string): string =>
    `${job}.is_available and ${job}.run_at <= now() and ${job}.task_id = any((select ids from known)::int[])`
  return `
    with known as materialized (
      select array_agg(id) as ids, jsonb_object_agg(id, identifier) as names
      from ${engine}._private_tasks
      where identifier = any($2::text[])
    ), free as materialized (
      select priority, run_at, null::int as job_queue_id
      from ${engine}._private_jobs job
      where ${isWaiting('job')} and job_queue_id is null
      order by priority, run_at
      limit ${size}
    ), ${scans ? withQueues(engine, size, isWaiting('job')) : 'front as (select * from free)'}, queues as materialized (
      select job_queue_id as id from front where job_queue_id is not null
      union
      select id from unnest($6::int[]) as also (id) where id <> all($3::int[])
    ), open as materialized (
      select queue.id, queue.queue_name
      from queues
      join ${engine}._private_job_queues queue using (id)
      where queue.is_available and (
        select busy.job_queue_id from ${engine}._private_jobs busy
        where busy.locked_at is not null and busy.job_queue_id = queue.id limit 1
      ) is null
      for update of queue skip locked
    ), next as materialized (
      select open.queue_name, next.*
      from open, lateral (
        select id, job_queue_id, row_number() over (order by priority, run_at, id) as place
        from ${engine}._private_jobs job
        where job.job_queue_id = open.id and ${isWaiting('job')}
        order by priority, run_at, id
        limit least(
          greatest(1, ${queued} / (select count(*) from queues)),
          (select count from unnest($4::int[], $5::int[]) as most (id, count) where most.id = open.id)
        )
      ) next
      limit ${Math.max(size, queued)}
    ), queued as materialized (
      select job.id, job.priority, job.run_at, job.job_queue_id, next.queue_name, next.place, ${BYTES} as bytes
      from next
      join ${engine}._private_jobs job on job.id = next.id
      where job.job_queue_id = next.job_queue_id and ${isWaiting('job')}
      for update of job skip locked
    ), unqueued as (
      select *
      from (
        select id, priority, run_at, job_queue_id, null::text as queue_name, ${BYTES} as bytes
        from ${engine}._private_jobs job
        where ${isWaiting('job')} and job_queue_id is null and (priority, run_at) >= (
          select priority, run_at from front where job_queue_id is null order by priority, run_at limit 1
        )
        order by priority, run_at
        limit ${size}
        for update skip locked
      ) job
      limit (select count(*) from front where job_queue_id is null)
    ), found as materialized (
      select id, job_queue_id, queue_name, sum(bytes) over in_order - bytes < ${MOST_BYTES} as fits
      from (
        select id, priority, run_at, job_queue_id, queue_name, bytes
        from (select *, row_number() over (partition by job_queue_id order by place) as taken from queued) queued
        where place = taken
        union all
        select * from unqueued
      ) job
      window in_order as (order by priority, run_at, id rows unbounded preceding)
    ), held as (
      update ${engine}._private_job_queues queue
      set locked_by = $1::text, locked_at = now()
      from found
      where queue.id = found.job_queue_id and fits
    ), claimed as (
      update ${engine}._private_jobs job
      set attempts = job.attempts + 1, locked_by = $1::text, locked_at = now()
      from found
      where job.id = found.id and fits
      returning
        job.id, job.job_queue_id, job.task_id, job.payload, job.priority, job.run_at, job.attempts, job.max_attempts,
        job.key, job.created_at, job.locked_at, job.flags, job.last_error,
        (select names from known) ->> job.task_id::text as task_name,
        found.queue_name,
        not (select every(fits) from found) as is_cut
    )
    select claimed.*, stuck.queues as stuck_queues
    from (
      select array_agg(id) as queues
      from (select distinct job_queue_id as id from front where job_queue_id is not null) queues
      where not exists (select from found) and (
        not (select is_available from ${engine}._private_job_queues queue where queue.id = queues.id)
        or exists (
          select from ${engine}._private_job_queues queue where queue.id = queues.id and is_available
          for update skip locked
        )
      )
    ) stuck
    left join claimed on true
    order by priority, run_at, id`
}

type Sizes = Required<Pick<ClaimRequest, 'size' | 'queued' | 'scans'>>

/** The front with the jobs of queues that no worker holds. */
function withQueues(engine: string, size: number, isWaiting: string): string {
  return `queued_front as materialized (
      select priority, run_at, job_queue_id
      from ${engine}._private_jobs job
      where ${isWaiting} and job_queue_id is not null
        and job_queue_id not in (
          select busy.job_queue_id from ${engine}._private_jobs busy
          where busy.locked_at is not null and busy.job_queue_id is not null
          order by busy.job_queue_id limit ${MOST_BUSY}
        )
        and job_queue_id <> all($3::int[])
      order by priority, run_at
      limit ${size}
    ), front as materialized (
      select * from (select * from free union all select * from queued_front) job
      order by priority, run_at
      limit ${size}
    )`
}

/** The limit makes the server expect that all these queues fit into memory. It looks further queues up one by one. */
const MOST_BUSY = 10_000

/** The size of a payload as text. The server must decompress a payload for this only if the payload is compressed. */
const BYTES =
  'case when pg_column_compression(payload) is null then pg_column_size(payload) else octet_length(payload::text) end'

/**
 * A claim takes jobs until their payloads reach this number of bytes as JSON text. It always takes the first job.
 * Parsed payloads take a few times as much memory.
 */
const MOST_BYTES = 16 * 2 ** 20
