import type { LogFields, Logger } from '../../src/logger.ts'
import type { WorkerOptions } from '../../src/worker/options.ts'
import { startWorker, type Worker } from '../../src/worker/worker.ts'
import { onceDone } from '../helpers/cleanup.ts'
import type { TestDatabase } from '../helpers/database.ts'
import { until } from '../helpers/until.ts'

/** A line that was logged. */
export interface Line {
  readonly level: keyof Logger
  readonly message: string
  readonly fields: LogFields
}

/** A logger that keeps its lines. */
export interface Recorder extends Logger {
  readonly lines: Line[]
  /** The lines of one event, such as `job.started`. */
  of(event: string): Line[]
}

/** Makes a logger that keeps its lines. */
export function createRecorder(): Recorder {
  const lines: Line[] = []
  const keep =
    (level: keyof Logger) =>
    (message: string, fields: LogFields = {}): void =>
      void lines.push({ level, message, fields })
  return {
    lines,
    of: event => lines.filter(({ fields }) => fields.event === event),
    debug: keep('debug'),
    info: keep('info'),
    warn: keep('warn'),
    error: keep('error')
  }
}

/** Starts a worker on a test's database. It is stopped when the tests are over, whatever became of the test. */
export async function work({ url }: TestDatabase, options: WorkerOptions): Promise<Worker> {
  const worker = await startWorker({ connection: url, ...options })
  onceDone(() => worker.stop({ timeout: 0 }))
  return worker
}

/**
 * The engine looks for old locks at a random moment of its first minute, and every nine minutes from then on; one that
 * is started so looks at once.
 */
export async function lookingForLocks<Started>(start: () => Promise<Started>): Promise<Started> {
  const random = Math.random
  Math.random = () => 0
  try {
    return await start()
  } finally {
    Math.random = random
  }
}

/** Puts many jobs on the database at once, one after another in run time; `n` of their payload counts from 1. */
export async function fill(
  { sql }: TestDatabase,
  task: string,
  count: number,
  { queue = null, queues = null }: { queue?: string | null; queues?: number | null } = {}
): Promise<void> {
  await sql`
    select graphile_worker.add_job(
      ${task}::text,
      json_build_object('n', n),
      queue_name => case when ${queues}::int is null then ${queue}::text else 'queue ' || n % ${queues}::int end,
      run_at => now() - interval '1 minute' + n * interval '1 microsecond'
    )
    from generate_series(1, ${count}::int) n`
}

/** How many jobs wait, run or have failed. */
export async function countJobs({ sql }: TestDatabase): Promise<number> {
  const [row] = await sql<{ count: number }[]>`select count(*)::int from graphile_worker.jobs`
  return row?.count ?? 0
}

/** Resolves when the only worker of a database has beaten so often: for so long, it could have done what it is not to do. */
export async function beats({ sql }: TestDatabase, count: number): Promise<void> {
  let last: string | undefined
  for (let beat = 0; beat <= count; beat++) {
    await until(async () => {
      const [row] = await sql<{ at: string }[]>`select beat_at::text as at from kretes.workers`
      const isNew = row?.at !== last
      last = row?.at
      return isNew
    })
  }
}
