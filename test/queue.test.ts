import { Queue } from '../src/queue.ts'
import { assert, suite } from './helpers/suite.ts'

const test = suite('queues')

test('Queue.for() gives the queue of that name, and nobody can rename it', () => {
  const queue = Queue.for('email')
  assert.equal({ ...queue }, { name: 'email' })
  assert.throws(() => Object.assign(queue, { name: 'other' }), TypeError)
  assert.is(Queue.for('n'.repeat(128)).name.length, 128)
})

test('Queue.random() gives another queue each time', () => {
  const names = new Set(Array.from({ length: 1_000 }, () => Queue.random().name))
  assert.is(names.size, 1_000)
  for (const name of names) assert.is(Queue.for(name).name, name)
})

const refused: [unknown, typeof TypeError | typeof RangeError, string][] = [
  [undefined, TypeError, 'Cannot name a queue: the name is of type undefined, not a string'],
  [null, TypeError, 'Cannot name a queue: the name is null, not a string'],
  [7, TypeError, 'Cannot name a queue: the name is of type number, not a string'],
  ['', RangeError, 'Cannot name a queue: the name is empty'],
  ['n'.repeat(129), RangeError, 'Cannot name a queue: the name has 129 characters, more than 128']
]
for (const [name, type, message] of refused) {
  test(`Queue.for() refuses ${String(name).slice(0, 20) || 'an empty name'}`, () => {
    assert.throws(
      () => Queue.for(name as string),
      (error: unknown) => error instanceof type && error.message === message
    )
  })
}
