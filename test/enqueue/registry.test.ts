import { createRegistry } from '../../src/enqueue/registry.ts'
import type { Access } from '../../src/sql/statement.ts'
import { assert, suite } from '../helpers/suite.ts'

const test = suite('what workers have registered')

// How soon after the answer a call comes is a matter of microtasks, which no database can time.
test('is waited for by calls in their order, at whatever moment the last of them comes', async () => {
  for (let ticks = 0; ticks < 30; ticks++) {
    const answer = Promise.withResolvers<void>()
    const access: Access = {
      execute: () => answer.promise.then(() => []),
      schema: 'graphile_worker',
      isOurs: true
    }
    const registry = createRegistry(undefined)
    const order: string[] = []
    const call = async (name: string): Promise<void> => {
      if (registry.isUnread('Ordered')) await registry.learn('Ordered', access)
      order.push(name)
    }
    const calls = ['first', 'second', 'third'].map(call)
    const last = answer.promise.then(async () => {
      for (let tick = 0; tick < ticks; tick++) await undefined
      await call('last')
    })
    answer.resolve()
    await Promise.all([...calls, last])
    assert.equal(order, ['first', 'second', 'third', 'last'], `after ${ticks} ticks`)
  }
})
