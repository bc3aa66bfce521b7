import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { createGate } from '../../src/enqueue/semaphore.ts'
import { assert, suite } from '../helpers/suite.ts'

const test = suite('a gate')

setFlagsFromString('--expose-gc')
const collectGarbage: () => void = runInNewContext('gc')

test('lets calls in by the order in which they came, so many at a time', async () => {
  const gate = createGate(2)
  const entered: number[] = []
  const enter = async (n: number): Promise<void> => {
    await gate.enter()
    entered.push(n)
  }
  const all = Array.from({ length: 100 }, (_, n) => enter(n))
  for (let left = 0; left < 100; left++) {
    await Promise.all(all.slice(0, left + 2))
    assert.is(entered.length, Math.min(100, left + 2))
    gate.leave()
  }
  assert.equal(
    entered,
    Array.from({ length: 100 }, (_, n) => n)
  )
  await gate.whenEmpty()
})

test('forgets who was let in although others always wait', async () => {
  const gate = createGate(1)
  const waiting = [gate.enter(), gate.enter(), gate.enter()]
  const turn = async (): Promise<void> => {
    waiting.push(gate.enter())
    gate.leave()
    await waiting.shift()
  }
  for (let n = 0; n < 1_000; n++) await turn()
  collectGarbage()
  const before = process.memoryUsage().heapUsed
  for (let n = 0; n < 300_000; n++) await turn()
  collectGarbage()
  const grown = process.memoryUsage().heapUsed - before
  assert.ok(grown < 5_000_000, `${grown} bytes more`)
})
