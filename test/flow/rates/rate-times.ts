import type { TaskContext } from '../../../src/task.ts'
import type { TestDatabase } from '../../helpers/database.ts'
import type { Child } from '../../helpers/process.ts'
import { assert } from '../../helpers/suite.ts'
import { until } from '../../helpers/until.ts'
import type { Numbered } from '../limits/slots.ts'

/** When a job has begun. */
export interface Start {
  readonly task: string
  readonly key: string
  readonly n: number
  /** By a clock that all processes of the machine share, in milliseconds. */
  readonly ms: number
}

/** The time by a clock that all processes of the machine share. */
function nowMs(): number {
  return Number(process.hrtime.bigint()) / 1e6
}

/** When the jobs of a test have begun. */
export interface Times {
  readonly starts: readonly Start[]
  /** How many jobs ran at the same time at most. */
  readonly most: number
  /** A task's function that notes when its jobs begin. */
  note(
    task: string,
    work?: (payload: Numbered, context: TaskContext) => unknown
  ): (payload: Numbered, context: TaskContext) => Promise<void>
}

/** Creates a list without starts. */
export function createTimes(): Times {
  const starts: Start[] = []
  let [running, most] = [0, 0]
  return {
    starts,
    get most() {
      return most
    },
    note: (task, work) => async (payload, context) => {
      starts.push({ task, key: String(payload.key ?? ''), n: payload.n ?? 0, ms: nowMs() })
      most = Math.max(most, ++running)
      try {
        await work?.(payload, context)
      } finally {
        running--
      }
    }
  }
}

/** Reads what processes of `run-timed.ts` have written. */
export function startsOf(children: readonly Child[]): readonly Start[] {
  return children.flatMap(({ stdout }) =>
    [...stdout.matchAll(/^began (\S*) (\d+) ([\d.]+)\n/gm)].map(([, key = '', n, ms]) => ({
      task: 'Timed',
      key,
      n: Number(n),
      ms: Number(ms)
    }))
  )
}

/** Waits until so many jobs have begun. */
export async function haveBegun(read: () => readonly Start[], count: number): Promise<void> {
  await until(() => read().length >= count, { what: `${count} jobs that have begun` })
}

/** Fails if more jobs have begun within any period of a rate than it allows. */
export function keepsRate(starts: readonly Start[], count: number, periodMs = 1_000): void {
  const times = starts.map(({ ms }) => ms).sort((one, other) => one - other)
  for (const [index, ms] of times.entries()) {
    const [next] = times.slice(index + count)
    if (next === undefined) return
    const offsets = times.slice(index, index + count + 1).map(time => (time - ms).toFixed(1))
    assert.ok(next - ms >= periodMs, `${count + 1} jobs have begun within ${periodMs} ms: after ${offsets} ms`)
  }
}

/** How many jobs of each limit and key count as begun, by the table. */
export async function countStarts({ sql }: TestDatabase): Promise<Readonly<{ [part: string]: number }>> {
  const rows = await sql<{ part: string; count: number }[]>`
    select trim(limit_name || ' ' || part) as part, sum(count)::int as count from kretes.starts group by 1 order by 1`
  return Object.fromEntries(rows.map(({ part, count }) => [part, count]))
}

/** Waits until the database knows when all jobs that workers had claimed have begun. */
export async function areRecorded({ sql }: TestDatabase): Promise<void> {
  await until(async () => (await sql`select from kretes.starts where worker <> ''`).length === 0, {
    what: 'starts that are recorded'
  })
}

/** Lets all that has begun be so long ago. */
export async function age({ sql }: TestDatabase, interval: string): Promise<void> {
  await sql`update kretes.starts set at = at - ${interval}::text::interval`
}
