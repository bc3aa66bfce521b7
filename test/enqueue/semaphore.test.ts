import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { createSemaphore } from '../../src/enqueue/semaphore.ts'
import { assert, suite } from '../helpers/suite.ts'

const test = suite('a semaphore')

setFlagsFromString('--expose-gc')
const collectGarbage: () => void = runInNewContext('gc')

test('lets calls in by the order in which they came, so many at a time', async () => {
  const semaphore = createSemaphore(2)
  const entered: number[] = []
  const enter = async (n: number): Promise<void> => {
    await semaphore.acquire()
    entered.push(n)
  }
  const all = Array.from({ length: 100 }, (_, n) => enter(n))
  for (let left = 0; left < 100; left++) {
    await Promise.all(all.slice(0, left + 2))
    assert.is(entered.length, Math.min(100, left + 2))
    semaphore.release()
  }
  assert.equal(
    entered,
    Array.from({ length: 100 }, (_, n) => n)
  )
  await semaphore.whenIdle()
})

test('forgets who was let in although others always wait', async () => {
  const semaphore = createSemaphore(1)
  const waiting = [semaphore.acquire(), semaphore.acquire(), semaphore.acquire()]
  const turn = async (): Promise<void> => {
    waiting.push(semaphore.acquire())
    semaphore.release()
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
