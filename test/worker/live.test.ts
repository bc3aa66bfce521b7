import { createBackground } from '../../mod.ts'
import type { TaskContext } from '../../src/task.ts'
import { ActiveRun } from '../../src/worker/execution/active-run.ts'
import { createProgressReporter } from '../../src/worker/execution/progress.ts'
import { onceDone } from '../helpers/cleanup.ts'
import { createDatabase } from '../helpers/database.ts'
import { assert, suite } from '../helpers/suite.ts'
import { until } from '../helpers/until.ts'
import { createRecorder, work } from './work.ts'

const test = suite('progress')
const lines = suite('the lines of a run')

const database = await createDatabase()
const { sql } = database
const background = createBackground({ connection: database.url })
onceDone(() => background.close())
await background.migrate()

interface ShownJob {
  state: string
  progress: number | null
  progress_message: string | null
}

async function shown(id: string): Promise<ShownJob | undefined> {
  const [row] = await sql<
    ShownJob[]
  >`select state, progress, progress_message from kretes.jobs where id = ${id}::bigint`
  return row
}

/** A worker with a task whose end is ours to say; then the worker stops. */
async function workAt(
  task: (context: TaskContext) => unknown
): Promise<{ end(): Promise<void>; events: ReturnType<typeof createRecorder> }> {
  const ended = Promise.withResolvers<void>()
  const logger = createRecorder()
  const Slow = async (_: object, context: TaskContext): Promise<void> => {
    await task(context)
    await ended.promise
  }
  const worker = await work(database, { tasks: { Slow }, logger })
  return {
    events: logger,
    async end() {
      ended.resolve()
      await worker.stop()
    }
  }
}

test('is seen by others while the job runs, its last word, and gone with the run', async () => {
  const { end } = await workAt(({ progress }) => {
    for (let step = 0; step <= 100; step++) progress(step / 250, `step ${step}`)
    progress(0.5)
  })
  const { id } = await background.schedule({ task: 'Slow' })
  const row = await until(async () => {
    const job = await shown(id)
    return job?.state === 'running' && job.progress === 0.5 ? job : undefined
  })
  assert.is(row?.progress_message, 'step 100')
  await end()
  await until(async () => (await sql`select from kretes.progress`).length === 0, { what: 'its row to go' })
  await until(async () => (await sql`select from kretes.workers where ${id}::bigint = any(running)`).length === 0)
})

test('that is no number from 0 to 1 is ignored, with one warning', async () => {
  const { end, events } = await workAt(({ progress }) => {
    progress(0.25)
    for (const wrong of [Number.NaN, -0.1, 1.1, Number.POSITIVE_INFINITY, '0.5', undefined]) progress(wrong as number)
  })
  const { id } = await background.schedule({ task: 'Slow' })
  await until(async () => (await shown(id))?.progress === 0.25)
  await end()
  assert.equal(
    events.of('job.progress').map(({ level, message }) => [level, message]),
    [['warn', `Slow ${id} reported a progress of NaN, which is not a number from 0 to 1`]]
  )
  assert.is(events.of('job.succeeded').length, 1)
})

test('of a lost worker is forgotten when another one starts', async () => {
  await sql`insert into kretes.progress (job_id, attempt, progress, updated_at) values (987654321, 1, 0.5, now())`
  const { end } = await workAt(() => {})
  await background.schedule({ task: 'Slow' })
  await until(async () => (await sql`select from kretes.progress where job_id = 987654321`).length === 0)
  await end()
})

test('costs nothing while nothing changes, and is told again where it could not be told', async () => {
  const runs = new Set<ActiveRun>()
  const told: unknown[] = []
  let isBroken = false
  const show = async (news: unknown): Promise<void> => {
    told.push(news)
    if (isBroken) throw new Error('the database is away')
  }
  const live = createProgressReporter({ runs, show, logger: createRecorder() })
  const rounds = async (count: number): Promise<void> => {
    const before = performance.now()
    await until(() => performance.now() - before > count * 520)
  }
  await rounds(2)
  assert.equal(told, [])
  const run = newRun('7')
  runs.add(run)
  await until(() => told.length === 1)
  assert.equal(told[0], { running: ['7'], changed: [], ended: [] })
  await rounds(2)
  assert.is(told.length, 1)
  isBroken = true
  run.progress(0.5)
  await until(() => told.length >= 3)
  isBroken = false
  const count = told.length
  const news = { id: '7', attempt: 1, progress: 0.5, message: null, log: null }
  await until(() => told.length > count)
  assert.ok(told.slice(1).every(one => JSON.stringify(one) === JSON.stringify({ changed: [news], ended: [] })))
  runs.delete(run)
  const before = told.length
  await until(() => told.length > before)
  assert.equal(told.at(-1), { running: [], changed: [], ended: ['7'] })
  await rounds(2)
  assert.is(told.length, before + 1)
  live.stop()
})

lines('are kept as they were when they were logged, with their fields and without secrets', async () => {
  const run = newRun('8')
  const { log, logger } = run
  const fields = { page: 7, when: new Date(0), big: 12n, error: new TypeError('no'), password: 'x', tokens: 5 }
  log('Hello', fields)
  fields.page = 8
  logger.warn('NUL \0 and \uD83D', { text: '\0 \uD83D', nested: { apiKey: 'x', list: [1] } })
  logger.error('Bye')
  const kept = JSON.parse(run.notes?.log ?? '') as { at: string; level: string; message: string; fields?: unknown }[]
  assert.ok(kept.every(({ at }) => !Number.isNaN(Date.parse(at))))
  assert.equal(
    kept.map(({ at: _, ...line }) => line),
    [
      {
        level: 'info',
        message: 'Hello',
        fields: {
          page: 7,
          when: '1970-01-01T00:00:00.000Z',
          big: '12',
          error: 'TypeError: no',
          password: '[redacted]',
          tokens: 5
        }
      },
      {
        level: 'warn',
        message: 'NUL \uFFFD and \uFFFD',
        fields: { text: '\uFFFD \uFFFD', nested: { apiKey: '[redacted]', list: [1] } }
      },
      { level: 'error', message: 'Bye' }
    ]
  )
})

lines('that JSON cannot hold, or that are too long, harm nobody', () => {
  const run = newRun('9')
  const loop: Record<string, unknown> = {}
  loop.loop = loop
  run.log('Loop', loop)
  run.log('Long', { text: 'x'.repeat(10_000) })
  run.log('y'.repeat(10_000))
  const [first, second, third] = JSON.parse(run.notes?.log ?? '')
  assert.match(first.fields.unreadable, /circular|cyclic/i)
  assert.ok(second.fields.truncated.startsWith('{"text":"xxx'))
  assert.is(third.message.length, 2_000)
})

lines('are the newest, and say how many came before', () => {
  const run = newRun('10')
  for (let number = 1; number <= 1_000; number++) run.log(`Line ${number}`)
  const many = JSON.parse(run.notes?.log ?? '')
  assert.is(many.length, 201)
  assert.is(many[0].message, '800 earlier lines were dropped')
  assert.is(many[0].dropped, 800)
  assert.is(many[1].message, 'Line 801')
  for (let number = 1; number <= 100; number++) run.log('z'.repeat(1_000))
  assert.ok((run.notes?.log ?? '').length < 17_000)
})

lines('are seen by others while the job runs', async () => {
  const { end } = await workAt(({ log }) => log('Half way', { page: 7 }))
  const { id } = await background.schedule({ task: 'Slow' })
  const log = await until(async () => {
    const [row] = await sql<{ log: { message: string; fields: unknown }[] }[]>`
      select log from kretes.progress where job_id = ${id}::bigint`
    return row?.log
  })
  assert.is(log?.[0]?.message, 'Half way')
  assert.equal(log?.[0]?.fields, { page: 7 })
  await end()
})

lines('are in the ledger when the run has ended, well or not', async () => {
  const tasks = {
    Well: (_: object, { log }: TaskContext) => log('Done', { page: 7 }),
    Badly: (_: object, { logger }: TaskContext) => {
      logger.warn('Beware')
      throw new Error('no')
    },
    Silently: () => {}
  }
  await using _worker = await work(database, { tasks })
  const jobs = await background.scheduleMany(Object.keys(tasks).map(task => ({ task, maxAttempts: 1 })))
  await Promise.allSettled(jobs.map(job => job.result()))
  const logs = await Promise.all(
    jobs.map(async ({ id }) => {
      const [run] = await sql<{ log: { level: string; message: string; fields?: unknown }[] | null }[]>`
        select log from kretes.runs where job_id = ${id}`
      return run?.log?.map(({ level, message, fields }) => [level, message, fields])
    })
  )
  assert.equal(logs, [[['info', 'Done', { page: 7 }]], [['warn', 'Beware', undefined]], undefined])
})

lines('cost nothing where there are none', () => {
  assert.is(newRun('11').notes, undefined)
})

function newRun(id: string): ActiveRun {
  const at = new Date()
  const job = { id, task: 'Slow', queue: null, priority: 0, runAt: at, attempts: 1, maxAttempts: 25, key: null }
  return new ActiveRun({ ...job, scheduledAt: at, schedule: null, occurrence: null }, createRecorder())
}
