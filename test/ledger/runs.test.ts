import { createBackground } from '../../src/background.ts'
import { executeIn } from '../../src/database/connections/session.ts'
import type { PageOptions, RunFilter } from '../../src/manage/filter.ts'
import type { RunState } from '../../src/rules/states.ts'
import { RUN_STATES } from '../../src/rules/states.ts'
import type { Run } from '../../src/run.ts'
import { createPartitions, dayOf } from '../../src/sql/ledger/partitions.ts'
import { onceDone } from '../helpers/cleanup.ts'
import { createDatabase } from '../helpers/database.ts'
import { randomFrom } from '../helpers/random.ts'
import { assert, suite } from '../helpers/suite.ts'
import { insertRuns, type RunRow } from './rows.ts'

const test = suite('runs()')

const { sql, url } = await createDatabase()
const background = createBackground({ connection: url })
onceDone(() => background.close())
await background.migrate()
const today = dayOf(new Date())
await createPartitions(executeIn(sql), 'kretes', { from: today - 40, to: today })

const DAY_MS = 86_400_000
const tasks = ['Alpha', 'Beta', 'Gamma']
const queues = [null, 'email', 'reports']
const seed = Number(process.env.KRETES_TEST_SEED) || Date.now() % 2 ** 32
const random = randomFrom(seed)
const rows = Array.from({ length: 300 }, (_, index): Required<Pick<RunRow, 'job' | 'task' | 'state'>> & RunRow => ({
  job: 1_000 + index,
  task: pick(tasks),
  queue: pick(queues),
  state: pick(RUN_STATES),
  key: index % 7 === 0 ? `key ${index}` : null,
  error: index % 5 === 0 ? { name: 'Error', message: `It broke at 50% of ${index}` } : null,
  // Most of them today, some as long ago as they are kept; some at the very same time.
  finishedAt: new Date(Math.floor((Date.now() - random() ** 4 * 39 * DAY_MS) / 1_000) * 1_000)
}))
await insertRuns(sql, rows)
const sorted = rows.toSorted((left, right) => timeOf(right) - timeOf(left) || Number(right.job) - Number(left.job) || 0)

const since = new Date(Date.now() - 3 * DAY_MS)
const filters: RunFilter[] = [
  {},
  { task: 'Beta' },
  { task: 'Nobody' },
  { task: async function Gamma() {} },
  ...RUN_STATES.map((state): RunFilter => ({ state })),
  { state: ['failed', 'cancelled'] },
  { queue: 'email' },
  { queue: 'no such queue' },
  { queue: 'reports', task: 'Alpha' },
  { queue: 'email', task: 'Beta', state: 'lost' },
  { task: 'Alpha', state: ['succeeded', 'timed out'] },
  { since },
  { since, queue: 'reports', state: 'failed' },
  { job: '1007' },
  { job: { id: '1008' } },
  { job: '1007', task: 'Nobody' },
  { search: 'KEY 14' },
  { search: '1100' },
  { search: 'at 50% of 2' },
  { search: 'at 50_ of 2' },
  { search: 'it broke', task: 'Gamma', state: 'failed' },
  { search: 'it broke', state: ['succeeded', 'failed'] },
  { search: 'it broke', state: 'lost' },
  { state: ['failed', 'timed out', 'lost'] },
  { state: ['failed', 'timed out', 'lost'], since }
]
for (const filter of filters) {
  const name =
    typeof filter.task === 'function'
      ? 'a task itself'
      : JSON.stringify({ ...filter, ...(filter.since && { since: 'a time' }) })
  test(`finds by ${name}, whatever the size of a page (seed ${seed})`, async () => {
    const expected = sorted.filter(row => isMeant(row, filter)).map(({ job }) => String(job))
    for (const limit of [1_000, 7]) {
      const pages = await collect({ ...filter, limit })
      assert.equal(
        pages.flat().map(({ job }) => job),
        expected
      )
      assert.ok(pages.slice(0, -1).every(page => page.length === limit))
    }
  })
}

test('tells all there is to know of a run', async () => {
  const finishedAt = new Date(Date.now() - 100)
  await insertRuns(sql, [
    {
      job: '9007199254740993',
      task: 'Whole',
      queue: 'q',
      key: 'k',
      state: 'failed',
      attempt: 2,
      maxAttempts: 3,
      priority: -1,
      finishedAt,
      waitedMs: 1_500,
      tookMs: 250,
      error: { name: 'TypeError', message: 'No', stack: 'TypeError: No' },
      result: [1],
      payload: { b: 2 },
      log: ['line']
    }
  ])
  const { runs } = await background.runs({ task: 'Whole' })
  const startedAt = new Date(finishedAt.getTime() - 250)
  assert.equal(runs, [
    {
      job: '9007199254740993',
      task: 'Whole',
      queue: 'q',
      key: 'k',
      state: 'failed',
      attempt: 2,
      maxAttempts: 3,
      priority: -1,
      scheduledAt: new Date(finishedAt.getTime() - 60_000),
      schedule: null,
      occurrence: null,
      runAt: new Date(startedAt.getTime() - 1_500),
      startedAt,
      finishedAt,
      waitedMs: 1_500,
      tookMs: 250,
      worker: 'a worker',
      error: { name: 'TypeError', message: 'No', stack: 'TypeError: No' },
      result: [1],
      payload: { b: 2 },
      log: ['line'],
      traceId: null,
      isOver: true,
      resultProblem: null
    }
  ])
})

test('tells runs that never began', async () => {
  await insertRuns(sql, [{ job: 1, task: 'Unborn', state: 'cancelled', tookMs: null }])
  const { runs } = await background.runs({ task: 'Unborn' })
  assert.equal([runs[0]?.startedAt, runs[0]?.waitedMs, runs[0]?.tookMs], [null, null, null])
})

test('counts a duration back from now, and tells what time it is by the database', async () => {
  const [{ now }] = (await sql`select now()`) as unknown as [{ now: Date }]
  const ago = (minutes: number): Date => new Date(now.getTime() - minutes * 60_000)
  await insertRuns(sql, [
    { job: 1, task: 'Aged', finishedAt: ago(5) },
    { job: 2, task: 'Aged', finishedAt: ago(70) },
    { job: 3, task: 'Aged', finishedAt: ago(3_000) }
  ])
  for (const [since, jobs] of [
    ['1h', ['1']],
    [{ hours: 2 }, ['1', '2']],
    [60_000, []]
  ] as const) {
    const page = await background.runs({ task: 'Aged', since })
    assert.equal(
      page.runs.map(({ job }) => job),
      jobs
    )
    assert.ok(page.at >= now)
  }
})

test('goes on from the very microsecond, and shows what came meanwhile on the first page only', async () => {
  const second = Math.floor(Date.now() / 1_000)
  const times = ['.000001', '.000002', '.000003', '.000003'].map(fraction =>
    new Date(second * 1_000).toISOString().replace('.000', fraction)
  )
  await insertRuns(
    sql,
    times.map((finishedAt, index) => ({ job: index + 1, task: 'Micro', finishedAt }))
  )
  const first = await background.runs({ task: 'Micro', limit: 1 })
  await insertRuns(sql, [{ job: 5, task: 'Micro', finishedAt: new Date((second + 1) * 1_000) }])
  const rest = await collect({ task: 'Micro', limit: 1, cursor: first.cursor })
  assert.equal(
    [first.runs, ...rest].flat().map(({ job }) => job),
    ['4', '3', '2', '1']
  )
  assert.is((await background.runs({ task: 'Micro' })).runs[0]?.job, '5')
})

test('searches the newest 10,000, and its cursor goes on from there', async () => {
  await sql`
    insert into kretes.ledger (job_id, finished_at, started_at, ready_at, scheduled_at, attempt, max_attempts, priority, is_failure, state, task, key)
    select n, moment, moment, moment, moment, 1, 25, 0, false, 'succeeded', 'Deep', case n when 1 then 'the needle' end
    from generate_series(1, 10050) n, lateral (select now() - interval '1 day' + n * interval '1 ms' as moment) times`
  for (const filter of [{ task: 'Deep', search: 'needle' }, { search: 'needle' }]) {
    const first = await background.runs(filter)
    assert.equal([first.runs.length, typeof first.cursor], [0, 'string'])
    const second = await background.runs({ ...filter, cursor: first.cursor })
    assert.equal([second.runs.map(({ job }) => job), second.cursor], [['1'], undefined])
  }
})

for (const [options, message] of [
  [
    { state: 'waiting' },
    'state is "waiting", none of succeeded, failed, timed out, cancelled, snoozed, released, lost'
  ],
  [{ since: '2030' }, 'since is "2030", not a duration such as \'5m\', 300_000 or { minutes: 5 }'],
  [{ since: new Date('x') }, 'since is an invalid date'],
  [{ since: '-1h' }, 'since is "-1h", not a duration such as \'5m\', 300_000 or { minutes: 5 }'],
  [{ job: { key: 'a' } }, 'job is given by its key, and several jobs may have had it. Give its id'],
  [{ limit: 1_001 }, 'limit is 1001, not a whole number from 1 to 1,000'],
  [{ cursor: '' }, 'the cursor is "", not one that came with a page of runs'],
  [{ cursor: btoa('["jobs","7"]') }, 'the cursor is "WyJqb2JzIiwiNyJd", not one that came with a page of runs'],
  [{ until: new Date() }, 'there is no condition until, only job, task, queue, state, since, search, limit, cursor']
] as const) {
  test(`refuses ${JSON.stringify(options)}`, async () => {
    const error = await background.runs(options as never).then(
      () => assert.unreachable('it did not reject') as never,
      thrown => thrown
    )
    assert.ok(error instanceof TypeError || error instanceof RangeError)
    assert.is(error.message, `Cannot list runs: ${message}`)
  })
}

async function collect(options: RunFilter & PageOptions): Promise<(readonly Run[])[]> {
  const pages: (readonly Run[])[] = []
  let cursor = options.cursor
  do {
    const page = await background.runs({ ...options, cursor })
    pages.push(page.runs)
    cursor = page.cursor
  } while (cursor !== undefined)
  return pages
}

function isMeant(row: RunRow, { job, task, queue, state, since, search }: RunFilter): boolean {
  const states: readonly RunState[] | undefined = typeof state === 'string' ? [state] : state
  const name = typeof task === 'function' ? task.name : task
  const texts = [row.key, (row.error as { message?: string } | null)?.message].map(text => text?.toLowerCase() ?? '')
  return (
    (job === undefined || String(row.job) === (typeof job === 'string' ? job : job.id)) &&
    (name === undefined || row.task === name) &&
    (queue === undefined || row.queue === queue) &&
    (states === undefined || states.includes(row.state!)) &&
    (since === undefined || timeOf(row) >= (since as Date).getTime()) &&
    (search === undefined || String(row.job) === search || texts.some(text => text.includes(search.toLowerCase())))
  )
}

function timeOf({ finishedAt }: RunRow): number {
  return new Date(finishedAt!).getTime()
}

function pick<Item>(items: readonly Item[]): Item {
  return items[Math.floor(random() * items.length)]!
}
