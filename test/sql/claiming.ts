import { createBackground } from '../../src/background.ts'
import { versionFlags } from '../../src/sql/flow/versions.ts'
import type { Statement } from '../../src/sql/statement.ts'
import { type ClaimRequest, claimJobs, jobsOf } from '../../src/sql/worker/claim.ts'
import { choiceOf } from '../helpers/choice.ts'
import { createDatabase, type TestDatabase } from '../helpers/database.ts'

/** A job that was claimed. */
export interface Row {
  readonly id: string
  readonly queue: string | null
  readonly priority: number
  readonly attempts: number
}

/** What one statement of a claim has found. */
export interface Look {
  readonly jobs: readonly Row[]
  readonly stuck: readonly number[]
  readonly isCovered: boolean
  readonly leavesJobs: boolean
}

/** What the jobs that a test adds are like. */
export interface Added {
  readonly queue?: string | null
  readonly task?: string
  readonly priority?: number
  /** How long ago they came due. */
  readonly minutes?: number
  /** The version of the task that has scheduled them. */
  readonly version?: number
  readonly count?: number
}

/** A database without jobs whose tasks are `Known`, `Other` and `Unknown`, and claims from it. */
export interface Claiming {
  readonly database: TestDatabase
  readonly sql: TestDatabase['sql']
  /** Removes all jobs, queues and pauses. */
  clear(): Promise<void>
  /** Adds jobs that are due. Returns their ids in order. */
  add(job?: Added): Promise<string[]>
  /** Claims as the worker `me`, which knows the task `Known`, with the settings of a worker's connections. */
  claim(count: number, session?: TestDatabase['sql'], request?: Partial<ClaimRequest>): Promise<readonly Row[]>
  /** Runs one statement of a claim. */
  look(request: Partial<ClaimRequest>): Promise<Look>
  /** How many pages a statement reads, with the same settings. */
  pagesOf(statement: Statement): Promise<number>
}

/** Creates a database for claims. */
export async function createClaiming(): Promise<Claiming> {
  const database = await createDatabase()
  await using background = createBackground({ connection: database.url })
  await background.migrate()
  const { sql } = database
  await sql`insert into graphile_worker._private_tasks (identifier) values ('Known'), ('Unknown'), ('Other')`

  async function look(request: Partial<ClaimRequest>, session?: TestDatabase['sql']): Promise<Look> {
    const given = { worker: 'me', choice: choiceOf('Known'), size: 10, ...request }
    const { text, values } = claimJobs('graphile_worker', given)
    const run = async (client: Pick<TestDatabase['sql'], 'unsafe'>): Promise<Row[]> => {
      await client.unsafe('set local enable_seqscan = off')
      return await client.unsafe(text, values as never[])
    }
    const found = session ? await run(session) : ((await sql.begin(run)) as Row[])
    const { jobs, rest } = jobsOf(found as (Row & { job_queue_id: number | null })[])
    const names = await sql`select id, queue_name from graphile_worker._private_job_queues`
    const nameOf = (queue: number | null): string | null => names.find(({ id }) => id === queue)?.queue_name ?? null
    return {
      jobs: jobs.map(row => ({ ...row, queue: nameOf(row.job_queue_id) })),
      stuck: rest.stuck,
      isCovered: rest.isCovered,
      leavesJobs: rest.leavesJobs
    }
  }

  async function claim(
    size: number,
    session?: TestDatabase['sql'],
    { without = [], ...more }: Partial<ClaimRequest> = {}
  ): Promise<readonly Row[]> {
    const { jobs, stuck } = await look({ size, without, ...more }, session)
    return stuck.length > 0 ? await claim(size, session, { without: [...without, ...stuck], ...more }) : jobs
  }

  return {
    database,
    sql,
    async clear() {
      await sql`truncate graphile_worker._private_jobs, graphile_worker._private_job_queues, kretes.paused`
    },
    async add({ queue = null, task = 'Known', priority = 0, minutes = 1, version, count = 1 } = {}) {
      const flags = version === undefined ? null : versionFlags(version)
      const rows = await sql<{ id: string }[]>`
        select (graphile_worker.add_job(
          ${task}::text, queue_name => ${queue}::text, priority => ${priority}::int, flags => ${flags}::text[],
          run_at => clock_timestamp() - ${minutes}::int * interval '1 minute'
        )).id::text as id
        from generate_series(1, ${count}::int)`
      return rows.map(({ id }) => id)
    },
    claim,
    look,
    async pagesOf({ text, values }) {
      const literal = (value: unknown): string => `'${String(value).replaceAll("'", "''")}'`
      return await sql.begin(async transaction => {
        await transaction`set local enable_seqscan = off`
        const [row] = await transaction.unsafe<
          { 'QUERY PLAN': { Plan: { 'Shared Hit Blocks': number; 'Shared Read Blocks': number } }[] }[]
        >(
          `explain (analyze, buffers, format json) ${text.replaceAll(/\$(\d+)/g, (_, n) => literal(values[Number(n) - 1]))}`
        )
        const { Plan } = row!['QUERY PLAN'][0]!
        return Plan['Shared Hit Blocks'] + Plan['Shared Read Blocks']
      })
    }
  }
}
