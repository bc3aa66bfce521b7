import { createCounter } from '../helpers/counter.ts'
import { createDatabase, type TestDatabase } from '../helpers/database.ts'
import { assert, suite } from '../helpers/suite.ts'
import { until } from '../helpers/until.ts'
import { work } from './work.ts'

const test = suite('a worker without jobs')

test('costs an idle database no more than the polling of the engine alone, beside the beat', async () => {
  const { sql, url } = await createDatabase()
  const counter = await createCounter(url)
  await work({ url: counter.url } as TestDatabase, { tasks: { Note: () => {} } })
  let last: string | undefined
  const beats = async (count: number): Promise<void> => {
    for (let n = 0; n < count; n++) {
      await until(async () => {
        const [row] = await sql<{ at: string }[]>`select beat_at::text as at from kretes.workers`
        const isNew = row?.at !== last
        last = row?.at
        return isNew
      })
    }
  }
  // Once every statement has been prepared, each is one packet.
  await beats(4)
  const before = counter.packets
  await beats(6)
  const packets = counter.packets - before
  // Two seconds lie between two beats. Beside them the worker polls, looks ahead and asks whether it hears, each less
  // often: one statement more for each beat would be too many.
  assert.ok(packets >= 6 && packets <= 20, `${packets} statements in six beats`)
})
