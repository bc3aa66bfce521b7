import { createPoisonGuard } from '../../src/worker/execution/poison.ts'
import { assert, suite } from '../helpers/suite.ts'

const test = suite('a job with which workers were lost')

test('is marked before it runs, from the first loss on', async () => {
  const marked: string[] = []
  const guard = createPoisonGuard(async job => void marked.push(job))
  for (const losses of [0, 1, 2]) {
    await guard.run(claimOf(String(losses), losses), async mark => {
      assert.is(mark !== undefined, losses > 0)
      await mark?.()
    })
  }
  assert.equal(marked, ['1', '2'])
})

test('runs one at a time after the second loss, beside all others', async () => {
  const guard = createPoisonGuard(async () => {})
  const gate = Promise.withResolvers<void>()
  const begun: string[] = []
  const run = (id: string, losses: number): Promise<void> =>
    guard.run(claimOf(id, losses), async () => {
      begun.push(id)
      await gate.promise
    })
  const running = [run('new', 0), run('suspect', 1), run('poison?', 2), run('next poison?', 2), run('other suspect', 1)]
  await Promise.resolve()
  await new Promise(setImmediate)
  assert.equal(begun, ['new', 'suspect', 'other suspect', 'poison?'])
  gate.resolve()
  await Promise.all(running)
  assert.is(begun.at(-1), 'next poison?')
})

function claimOf(id: string, losses: number): Parameters<ReturnType<typeof createPoisonGuard>['run']>[0] {
  return { job: { id }, losses } as never
}
