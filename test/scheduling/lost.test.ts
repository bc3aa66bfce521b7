import { setTimeout as sleep } from 'node:timers/promises'
import { createBackground } from '../../src/background.ts'
import { BackgroundError } from '../../src/errors.ts'
import { createDatabase } from '../helpers/database.ts'
import { randomFrom } from '../helpers/random.ts'
import { startServer } from '../helpers/server.ts'
import { assert, suite } from '../helpers/suite.ts'

const test = suite('a lost connection')

/** KRETES_TEST_SEED repeats a run, KRETES_TEST_ROUNDS makes it longer. */
const seed = Number(process.env.KRETES_TEST_SEED) || Math.floor(Math.random() * 2 ** 31)
const rounds = Number(process.env.KRETES_TEST_ROUNDS) || 50
const random = randomFrom(seed)

const { sql, url } = await createDatabase()

test(`at random moments under 500 calls: none hangs, none is lost or doubled (seed ${seed})`, async () => {
  await using background = createBackground({ connection: url })
  await background.migrate()
  const seen = { committed: 0, unknown: 0, unavailable: 0 }
  for (let round = 0; round < rounds; round++) {
    const calls = Array.from({ length: 500 }, (_, n) => {
      const kind = Math.floor(random() * 4)
      const options = [{}, { queue: { name: `q${n % 7}` } }, { key: `${round}-${n}` }, { runAt: new Date(2e12) }][kind]
      return sleep(random() * 30).then(() =>
        background.schedule({ task: 'Survive', payload: { round, n }, ...options }).then(
          job => ({ n, id: job.id, code: undefined }),
          error => ({ n, id: undefined, code: codeOf(error) })
        )
      )
    })
    const kills = Array.from({ length: 4 }, async () => {
      await sleep(random() * 40)
      await terminate(random() < 0.5)
    })
    const [outcomes] = await Promise.all([Promise.all(calls), Promise.all(kills)])

    const rows = await sql<{ id: string; n: number }[]>`
      select id, (payload->>'n')::int as n from graphile_worker._private_jobs
      where (payload->>'round')::int = ${round}`
    const idOf = new Map(rows.map(({ n, id }) => [n, id]))
    assert.is(idOf.size, rows.length, `round ${round} of seed ${seed}: a job is there twice`)
    for (const { n, id, code } of outcomes) {
      const where = `round ${round} of seed ${seed}, call ${n}`
      if (id) assert.is(idOf.get(n), id, `${where}: told committed`)
      else if (code === 'DATABASE_UNAVAILABLE') assert.not.ok(idOf.has(n), `${where}: told that it surely failed`)
      else assert.is(code, 'OUTCOME_UNKNOWN', where)
      seen[id ? 'committed' : code === 'OUTCOME_UNKNOWN' ? 'unknown' : 'unavailable']++
    }
  }
  assert.ok(seen.committed > 0 && seen.unknown > 0, JSON.stringify(seen))
})

test('of a server that restarts leaves a Background that goes on when it is back', async () => {
  const server = await startServer()
  await using background = createBackground({ connection: server.url })
  try {
    await background.schedule({ task: 'Before' })
    for (const signal of ['INT', 'QUIT'] as const) {
      const calls = Array.from({ length: 200 }, (_, n) => background.schedule({ task: 'During', payload: { n } }))
      const settled = Promise.allSettled(calls)
      await server.restart(signal)
      for (const outcome of await settled) if (outcome.status === 'rejected') codeOf(outcome.reason)
      const job = await background.schedule({ task: 'After' }).catch(() => background.schedule({ task: 'After' }))
      assert.is(job.task, 'After')
    }
  } finally {
    await server.stop()
  }
})

function codeOf(error: unknown): string {
  if (error instanceof BackgroundError) return error.code
  throw error
}

async function terminate(all: boolean): Promise<void> {
  await sql`
    select pg_terminate_backend(pid) from (
      select pid from pg_stat_activity
      where datname = current_database() and application_name = 'kretes'
      order by random() limit ${all ? 10 : 1}
    ) victims`
}
