import { createBackground } from '../../src/background.ts'
import { createCounter } from '../helpers/counter.ts'
import { createDatabase, type TestDatabase } from '../helpers/database.ts'
import { start } from '../helpers/process.ts'
import { assert, suite } from '../helpers/suite.ts'
import { until } from '../helpers/until.ts'
import { fill, work } from './work.ts'

const test = suite('jobs that come due')

/** A worker that polls so seldom finds no job by polling while a test waits. */
const POLL = { pollInterval: 600_000 }

test('start at their time and not at the next poll, whoever scheduled them', async () => {
  const database = await createDatabase()
  const { sql, url } = database
  let ran = 0
  await using _worker = await work(database, { tasks: { Note: () => void ran++ }, ...POLL })
  await using background = createBackground({ connection: url })

  const program = start(process.execPath, ['--input-type=module', '--eval', SCHEDULER], { env: { DATABASE_URL: url } })
  const scheduling = Array.from({ length: 70 }, () =>
    background.schedule({ task: 'Note', delay: 500 + Math.random() * 2_500 })
  )
  await sql`
    select graphile_worker.add_job('Note', run_at => now() + interval '0.5 s' + random() * interval '2.5 s')
    from generate_series(1, 60)`
  await Promise.all(scheduling)
  assert.is((await program.exit).code, 0)
  await until(() => ran === 200)
})

test('are looked for by a worker that is busy now and then, and start at their time once it is not', async () => {
  const database = await createDatabase()
  const { sql, url } = database
  const looks = await createCounter(url, LOOK)
  const gate = Promise.withResolvers<void>()
  let ran = 0
  const tasks = { Wait: () => gate.promise, Note: () => void ran++ }
  // It keeps at hand what it cannot run yet.
  const patience = { concurrency: 1, localQueueTtl: 600_000, ...POLL }
  const worker = await work({ url: looks.url } as TestDatabase, { tasks, ...patience })
  await fill(database, 'Wait', 3)
  await until(() => worker.running === 1)

  await using background = createBackground({ connection: url })
  const before = looks.packets
  for (let n = 0; n < 300; n++) await background.schedule({ task: 'Note', delay: '1h' })
  // It looks no more once it has jobs at hand, however many are scheduled.
  assert.ok(looks.packets - before <= 5, `${looks.packets - before} looks for 300 jobs`)

  await sql`select graphile_worker.add_job('Note', run_at => now() + interval '1 s')`
  gate.resolve()
  await until(() => ran === 1)
  assert.ok(looks.packets > before, 'it has not looked')
})

/** What only the statement that looks ahead holds. */
const LOOK = 'with recursive known'

/** An application in a process of its own. */
const SCHEDULER = `
  import { Background } from ${JSON.stringify(new URL('../../mod.ts', import.meta.url).href)}
  for (let n = 0; n < 70; n++) {
    await Background.schedule({ task: 'Note', delay: 500 + Math.random() * 2_500 })
  }
  await Background.close()
`
