import { setTimeout as sleep } from 'node:timers/promises'
import { createCounter } from '../helpers/counter.ts'
import { createDatabase, type TestDatabase } from '../helpers/database.ts'
import { assert, suite } from '../helpers/suite.ts'
import { work } from './work.ts'

const test = suite('a worker without jobs')

test('costs an idle database no more than the polling of the engine alone, beside the beat', async () => {
  const { url } = await createDatabase()
  const counter = await createCounter(url)
  await work({ url: counter.url } as TestDatabase, { tasks: { Note: () => {} } })
  // Once every statement has been prepared, each is one packet.
  await sleep(8_000)
  const before = counter.packets
  await sleep(20_000)
  const perSecond = (counter.packets - before) / 20
  // The engine with its defaults polls every two seconds, and a beat comes as often; each of the three that come
  // regularly may fall once more into the window.
  assert.ok(perSecond <= 1.25, `${perSecond} statements a second`)
})
