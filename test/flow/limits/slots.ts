import type { TaskContext } from '../../../src/task.ts'
import type { WorkerOptions } from '../../../src/worker/options.ts'
import { onceDone } from '../../helpers/cleanup.ts'
import { createCounter } from '../../helpers/counter.ts'
import type { TestDatabase } from '../../helpers/database.ts'
import { until } from '../../helpers/until.ts'
import { work } from '../prepare.ts'

/** The payload of a job that a {@linkcode Record} knows. */
export interface Numbered {
  readonly n?: number
  readonly key?: string | number
}

/** The key of a job, for a limit. */
export const perKey = ({ key }: Numbered): string | number | null => key ?? null

/** What the tasks of a test write down of their own runs. */
export interface Record {
  /** The jobs that run now: the name of the task, the key and `n`. */
  readonly running: readonly string[]
  /** The jobs that have begun, in order. */
  readonly begun: readonly string[]
  /** How many have ended. */
  readonly ended: number
  /** How many ran at the same time at most. */
  readonly most: number
  /** How many ran at the same time at most, of the task and the key that have had the most. */
  readonly mostOfKey: number
  /** Lets the jobs that run, and those to come, end. */
  open(): void
  /** A task's function that notes its runs, and whose jobs wait for {@linkcode open}. */
  hold(name: string): (payload: Numbered, context: TaskContext) => Promise<void>
  /** A task's function that notes its runs, and whose jobs let others run meanwhile. */
  pass(
    name: string,
    work?: (payload: Numbered, context: TaskContext) => unknown
  ): (payload: Numbered, context: TaskContext) => Promise<void>
}

/** Creates a record without runs. */
export function createRecord(): Record {
  const gate = Promise.withResolvers<void>()
  onceDone(() => gate.resolve())
  const running = new Map<string, string>()
  const begun: string[] = []
  let [ended, most, mostOfKey] = [0, 0, 0]

  function note(name: string, work: (payload: Numbered, context: TaskContext) => unknown) {
    return async (payload: Numbered, context: TaskContext): Promise<void> => {
      const group = payload.key === undefined ? name : `${name} ${payload.key}`
      const label = payload.n === undefined ? group : `${group} ${payload.n}`
      begun.push(label)
      running.set(label, group)
      most = Math.max(most, running.size)
      mostOfKey = Math.max(mostOfKey, [...running.values()].filter(one => one === group).length)
      try {
        await work(payload, context)
      } finally {
        running.delete(label)
        ended++
      }
    }
  }

  return {
    begun,
    get running() {
      return [...running.keys()]
    },
    get ended() {
      return ended
    },
    get most() {
      return most
    },
    get mostOfKey() {
      return mostOfKey
    },
    open: () => gate.resolve(),
    hold: name => note(name, () => gate.promise),
    pass: (name, work = turns) => note(name, work)
  }
}

/** Lets the event loop turn, so that other jobs could begin meanwhile. */
async function turns(): Promise<void> {
  for (let turn = 0; turn < 3; turn++) await new Promise(resolve => setImmediate(resolve))
}

/** Waits until so many jobs have ended. */
export async function haveEnded(record: Record, count: number): Promise<void> {
  await until(() => record.ended >= count, {
    what: `${count} ended jobs, of which there are ${record.ended}`
  })
}

/** Waits until so many jobs run. */
export async function areRunning(record: Record, count: number): Promise<void> {
  await until(() => record.running.length === count, {
    what: `${count} running jobs, of which there are ${record.running.length}`
  })
}

/** Waits until no job is left and no slot is in use. */
export async function isAllDone({ sql }: TestDatabase): Promise<void> {
  await until(async () => (await sql`select from graphile_worker._private_jobs`).length === 0)
  await noSlots({ sql })
}

/** Waits until no slot is in use. */
export async function noSlots({ sql }: Pick<TestDatabase, 'sql'>): Promise<void> {
  await until(async () => (await sql`select from kretes.leases where slots > 0`).length === 0, {
    what: 'leases that are removed'
  })
}

/** How many slots of each limit are in use. */
export async function slotsOf({ sql }: TestDatabase): Promise<Readonly<{ [limit: string]: number }>> {
  const rows = await sql<{ name: string; slots: number }[]>`
    select limit_name as name, sum(slots)::int as slots from kretes.leases where slots > 0 group by 1 order by 1`
  return Object.fromEntries(rows.map(({ name, slots }) => [name, slots]))
}

/** The payloads `{ n: 1 }`, `{ n: 2 }` and so on, with a key if there are any. */
export function payloads(count: number, key?: string | number): Numbered[] {
  return Array.from({ length: count }, (_, index) => ({ n: index + 1, ...(key !== undefined && { key }) }))
}

/**
 * Starts a worker beside others. Returns a function that waits until it has fetched nothing for some of its beats: then
 * only a notification, or its next poll, lets it fetch again.
 */
export async function workAtRest(database: TestDatabase, options: WorkerOptions): Promise<() => Promise<void>> {
  const fetches = await createCounter(database.url, 'kretes_')
  const before = await database.sql`select id from kretes.workers`
  await work({ ...database, url: fetches.url }, options)
  const known = before.map(({ id }) => id)
  await until(async () => (await othersOf(database, known)).length === 1)
  return async () => {
    const beat = async (): Promise<string> => (await othersOf(database, known))[0]!.at
    let [quiet, sent] = [0, fetches.packets]
    for (let beats = 0; quiet < 5; beats++) {
      if (beats === 100) throw new Error('Cannot wait any longer: after 100 beats the worker still fetches')
      const last = await beat()
      await until(async () => (await beat()) !== last)
      quiet = fetches.packets === sent ? quiet + 1 : 0
      sent = fetches.packets
    }
  }
}

async function othersOf({ sql }: TestDatabase, known: readonly string[]): Promise<readonly { at: string }[]> {
  const rows = await sql<{ id: string; at: string }[]>`select id, beat_at::text as at from kretes.workers`
  return rows.filter(({ id }) => !known.includes(id))
}
