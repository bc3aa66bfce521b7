import { createBackground } from '../../src/background.ts'
import type { TaskContext } from '../../src/task.ts'
import { createCounter } from '../helpers/counter.ts'
import { createDatabase, type TestDatabase } from '../helpers/database.ts'
import { start } from '../helpers/process.ts'
import { assert, suite } from '../helpers/suite.ts'
import { until } from '../helpers/until.ts'
import { bestOf, fill, work } from './work.ts'

const test = suite('jobs that come due')

test('start within 50 ms at p99, whoever scheduled them', () =>
  bestOf(3, async () => {
    const late = await scheduleByAll()
    const sorted = late.toSorted((a, b) => a - b)
    assert.ok(sorted[0]! >= -1, `one started ${-sorted[0]!} ms early`)
    const isOnTime = sorted[197]! < 50
    return { isOnTime, figures: `p50 ${sorted[99]}, p99 ${sorted[197]}, most ${sorted[199]} ms` }
  }))

/** Schedules 200 jobs in three ways, and returns by how many milliseconds each was late. */
async function scheduleByAll(): Promise<number[]> {
  const database = await createDatabase()
  const { sql, url } = database
  const late: number[] = []
  const Note = (_: object, { job }: TaskContext): void => void late.push(Date.now() - job.runAt.getTime())
  await using _worker = await work(database, { tasks: { Note } })
  await using background = createBackground({ connection: url })

  const program = start(process.execPath, ['--input-type=module', '--eval', SCHEDULER], { env: { DATABASE_URL: url } })
  const scheduling = Array.from({ length: 70 }, () =>
    background.schedule({ task: 'Note', delay: 500 + Math.random() * 9_500 })
  )
  await sql`
    select graphile_worker.add_job('Note', run_at => now() + interval '0.5 s' + random() * interval '9.5 s')
    from generate_series(1, 60)`
  await Promise.all(scheduling)
  assert.is((await program.exit).code, 0)
  await until(() => late.length === 200, { timeoutMs: 60_000 })
  return late
}

test('are looked for by a worker that is busy now and then, and start on time once it is not', () =>
  bestOf(3, async () => {
    const database = await createDatabase()
    const { sql, url } = database
    const looks = await createCounter(url, LOOK)
    const gate = Promise.withResolvers<void>()
    const late: number[] = []
    const tasks = {
      Wait: () => gate.promise,
      Note: (_: object, { job }: TaskContext) => void late.push(Date.now() - job.runAt.getTime())
    }
    // It keeps at hand what it cannot run yet, and does not find by polling what comes due.
    const patience = { concurrency: 1, localQueueTtl: 600_000, pollInterval: 600_000 }
    const worker = await work({ url: looks.url } as TestDatabase, { tasks, ...patience })
    await fill(database, 'Wait', 3)
    await until(() => worker.running === 1)

    await using background = createBackground({ connection: url })
    const beganMs = performance.now()
    while (performance.now() - beganMs < 1_000) await background.schedule({ task: 'Note', delay: '1h' })
    assert.ok(looks.packets <= 5, `${looks.packets} looks in a second`)

    await sql`select graphile_worker.add_job('Note', run_at => now() + interval '1 s')`
    gate.resolve()
    await until(() => late.length === 1)
    return { isOnTime: late[0]! < 50, figures: `${late[0]} ms` }
  }))

/** What only the statement that looks ahead holds. */
const LOOK = 'recursive priorities'

/** An application in a process of its own. */
const SCHEDULER = `
  import { Background } from ${JSON.stringify(new URL('../../mod.ts', import.meta.url).href)}
  for (let n = 0; n < 70; n++) {
    await Background.schedule({ task: 'Note', delay: 500 + Math.random() * 9_500 })
  }
  await Background.close()
`
