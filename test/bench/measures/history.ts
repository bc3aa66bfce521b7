import type { Sql } from 'postgres'
import { createBackground } from '../../../src/background.ts'
import type { BackgroundClient } from '../../../src/client.ts'
import { poolOf } from '../../../src/database/connections/pool.ts'
import { executeIn } from '../../../src/database/connections/session.ts'
import { pruneLedger } from '../../../src/ledger/prune.ts'
import { createPartitions, dayOf } from '../../../src/sql/ledger/partitions.ts'
import type { SampleDatabase } from '../databases.ts'
import { addSample, createRow, interleave, type Measure } from '../measure.ts'
import { median, ratio } from '../statistics.ts'
import { measureIn } from '../subject.ts'
import type { DrainResult, DrainSettings } from '../subjects/drain.ts'

/** What a ledger full of runs costs those who read it, and the worker that adds to it. */
export const history: Measure = {
  name: 'history',
  description: 'reading and adding to a ledger of ten million runs, with 100,000 jobs waiting',
  async run({ databases, isQuick }) {
    const runs = isQuick ? 500_000 : 10_000_000
    const waiting = 100_000
    const create = (): Promise<SampleDatabase> =>
      databases.create('kretes', [{ task: 'Trivial', count: waiting, queues: 0 }])
    await using full = await create()
    await fillLedger(full.sql, runs)

    const rows = await read(full.url, isQuick ? 3 : 10)
    const rate = createRow('Drain, by the history (empty, full)', 'jobs/s', 'higher')
    const empties: number[] = []
    const fulls: number[] = []
    await interleave(isQuick ? 1 : 3, ['empty', 'full'] as const, async which => {
      if (which === 'empty') {
        await using empty = await create()
        empties.push(await drainSome(empty, waiting / 5))
      } else {
        fulls.push(await drainSome(full, waiting / 5))
      }
    })
    for (const value of empties) addSample(rate, 'kretes', value)
    const beside = createRow('  with a full one', 'jobs/s', 'higher')
    for (const value of fulls) addSample(beside, 'kretes', value)

    const prune = createRow('Prune a day', 'ms', 'lower')
    const beganMs = performance.now()
    const { dropped } = await pruneLedger(poolOf(full.sql), 'graphile_worker', {
      successesMs: (DAYS - 2) * DAY_MS,
      failuresMs: (DAYS - 2) * DAY_MS
    })
    if (dropped.length === 0) throw new Error('Cannot measure pruning: nothing was old enough')
    addSample(prune, 'kretes', performance.now() - beganMs)

    return {
      rows: [...rows, rate, beside, prune],
      demands: [
        ...rows.map(row => ({ label: `${row.label}, ms`, value: median(row.samples.kretes ?? []), atMost: 100 })),
        { label: 'Drain rate with a full ledger / with an empty one', value: ratio(fulls, empties), atLeast: 0.9 },
        { label: 'Pruning a day, ms', value: median(prune.samples.kretes ?? []), atMost: 1_000 }
      ]
    }
  }
}

/** Runs of the last days: of twenty tasks, a tenth of them on one of a hundred queues, one in fifty failed. */
async function fillLedger(sql: Sql, count: number): Promise<void> {
  const today = dayOf(new Date())
  await createPartitions(executeIn(sql), 'kretes', { from: today - DAYS, to: today + 1 })
  for (let from = 0; from < count; from += CHUNK) {
    await sql`
      insert into kretes.ledger (
        job_id, finished_at, started_at, ready_at, scheduled_at, attempt, max_attempts, priority, is_failure, state, task, queue,
        worker, result
      )
      select
        ${PAST_IDS}::bigint + n, ended, ended - interval '12 milliseconds', ended - interval '20 milliseconds', ended - interval '21 milliseconds',
        1, 25, 0, n % 50 = 0, case when n % 50 = 0 then 'failed' else 'succeeded' end, 'Task' || n % 20,
        case when n % 10 = 0 then 'queue ' || n % 100 end, 'worker-past', '{"ok":true}'
      from generate_series(${from + 1}::bigint, ${Math.min(count, from + CHUNK)}::bigint) n,
        lateral (select now() - (${count}::bigint - n) * (${DAYS - 1}::float8 / ${count}::float8) * interval '1 day' as ended) at`
  }
  await sql`
    insert into kretes.counters (level, minute, runs, duration_bucket, task, state, waiting_ms, running_ms)
    select 1, date_trunc('minute', finished_at), count(*), 28, task, state, count(*) * 8.0, count(*) * 12.0
    from kretes.ledger
    where finished_at > now() - interval '1 day'
    group by 2, 5, 6`
  await sql`
    insert into kretes.queue_counters (level, minute, runs, duration_bucket, queue, state, waiting_ms, running_ms)
    select 1, date_trunc('minute', finished_at), count(*), 28, queue, state, count(*) * 8.0, count(*) * 12.0
    from kretes.ledger
    where finished_at > now() - interval '1 day' and queue is not null
    group by 2, 5, 6`
  await sql`vacuum analyze kretes.ledger`
  await sql`vacuum analyze kretes.counters, kretes.queue_counters`
  await sql`checkpoint`
}

async function read(url: string, rounds: number): Promise<ReturnType<typeof createRow>[]> {
  await using background = createBackground({ connection: url })
  const questions: Record<string, (background: BackgroundClient) => Promise<unknown>> = {
    'Read the status': background => background.status(),
    'Read a page of jobs by state and task': background => background.jobs({ state: 'waiting', task: 'Trivial' }),
    'Read a page of runs, the newest': background => background.runs({}),
    'Read a page of runs of a task': background => background.runs({ task: 'Task7' }),
    'Read a page of failed runs of a queue': background => background.runs({ queue: 'queue 50', state: 'failed' }),
    'Search runs for what is not there': background => background.runs({ search: 'nothing such' })
  }
  const rows = Object.keys(questions).map(label => createRow(label, 'ms', 'lower'))
  await interleave(rounds + 1, rows, async row => {
    const beganMs = performance.now()
    await questions[row.label]?.(background)
    addSample(row, 'kretes', performance.now() - beganMs)
  })
  // The first of each has its plan made, and reads from the disk.
  for (const row of rows) row.samples.kretes?.shift()
  return rows
}

async function drainSome({ url }: SampleDatabase, count: number): Promise<number> {
  const settings = { system: 'kretes' as const, url, count, warmUp: count / 10, limitMs: 10_000 }
  const { rate } = await measureIn<DrainSettings, DrainResult>('drain', settings)
  return rate
}

/** Of how many days there are runs. */
const DAYS = 6
/** Their jobs' ids, above those of jobs that wait. */
const PAST_IDS = 1_000_000_000
const DAY_MS = 86_400_000
const CHUNK = 250_000
