import { fileURLToPath } from 'node:url'
import { defineTask } from '../../../src/task.ts'
import { type Child, start } from '../../helpers/process.ts'
import { assert, suite } from '../../helpers/suite.ts'
import { isAllDone, payloads, perKey } from '../limits/slots.ts'
import { type Prepared, prepare, registered } from '../prepare.ts'
import { haveBegun, keepsRate, startsOf } from './rate-times.ts'

const test = suite('the rate of two processes')

const script = fileURLToPath(new URL('../../fixtures/run-timed.ts', import.meta.url))

/** Starts two processes, each with a worker. */
async function startTwo({ database }: Prepared, given: object): Promise<readonly Child[]> {
  const children = [1, 2].map(() => start(process.execPath, [script, database.url, JSON.stringify(given)]))
  await registered(database, 2)
  return children
}

/** Waits until so many jobs have begun, lets the processes end, and returns the starts of all jobs, each of which has run once. */
async function endAll({ database }: Prepared, children: readonly Child[], count: number) {
  await haveBegun(() => startsOf(children), count)
  await isAllDone(database)
  for (const child of children) child.kill()
  await Promise.all(children.map(({ exit }) => exit))
  const starts = startsOf(children)
  assert.is(starts.length, count)
  return starts
}

test('is kept in any second, and all jobs run', async () => {
  const prepared = await prepare()
  const rate = '30/s'
  const children = await startTwo(prepared, { rate })
  const Timed = defineTask({ name: 'Timed', limit: { rate }, run: () => {} })
  await prepared.background.scheduleMany({ task: Timed, payloads: payloads(130) })
  const starts = await endAll(prepared, children, 130)
  keepsRate(starts, 30)
  assert.is(new Set(starts.map(({ n }) => n)).size, 130)
})

test('is kept for each key', async () => {
  const prepared = await prepare()
  const rate = '6/s'
  const children = await startTwo(prepared, { rate, isKeyed: true })
  const Timed = defineTask({ name: 'Timed', limit: { rate, per: perKey }, run: () => {} })
  for (const key of ['a', 'b', 'c', 'd']) {
    await prepared.background.scheduleMany({ task: Timed, payloads: payloads(20, key) })
  }
  const starts = await endAll(prepared, children, 80)
  for (const key of ['a', 'b', 'c', 'd']) {
    const ofKey = starts.filter(start => start.key === key)
    assert.is(ofKey.length, 20)
    keepsRate(ofKey, 6)
  }
})

for (const [what, more] of [
  ['begin at the same time', {}],
  ['run one after another', { concurrency: 1, options: { localQueueTtl: '10s' } }]
] as const) {
  test(`is kept while jobs block each of them for longer than the period, with jobs that ${what}`, async () => {
    const prepared = await prepare()
    const rate = '4/s'
    const Timed = defineTask({ name: 'Timed', limit: { rate }, run: () => {} })
    const blocking = payloads(16).map(payload => ({ ...payload, blockMs: payload.n! % 6 === 1 ? 1_300 : 5 }))
    const children = await startTwo(prepared, { rate, ...more })
    await prepared.background.scheduleMany({ task: Timed, payloads: blocking })
    keepsRate(await endAll(prepared, children, 16), 4)
  })
}
