import { Queue } from '../src/queue.ts'
import { defineTask, optionsOf, type Task } from '../src/task.ts'
import { isTaskName } from '../src/text/task-name.ts'
import { assert, suite } from './helpers/suite.ts'
import { contextFor } from './tasks/context.ts'

const test = suite('tasks')

test('defineTask() gives a function of that name which calls run with what it is called with', async () => {
  const context = contextFor('Add')
  const Add = defineTask({
    name: 'Add',
    run: async ({ a, b }: { a: number; b: number }, { job }) => ({ sum: a + b, task: job.task })
  })
  assert.is(Add.name, 'Add')
  assert.equal(await Add({ a: 2, b: 3 }, context), { sum: 5, task: 'Add' })
})

test('defineTask() attaches options that are read off the function and cannot be changed', () => {
  const queue = Queue.for('email')
  const options = optionsOf(defineTask({ name: 'SendEmail', queue, run: () => {} }))
  assert.is(options.queue, queue)
  assert.throws(() => Object.assign(options, { queue: Queue.for('other') }), TypeError)
})

test('a plain function, a name and nothing have no options', () => {
  const SendEmail: Task = () => {}
  for (const task of [SendEmail, 'SendEmail', undefined, null, {}]) assert.equal(optionsOf(task), {})
})

const refused: [unknown, string][] = [
  [{ name: 'SendEmail' }, 'Cannot define SendEmail: run is not a function'],
  [
    { name: 'sendEmail', run() {} },
    'Cannot define a task: its name "sendEmail" is not in CamelCase with a capital first letter'
  ],
  [{ name: '', run() {} }, 'Cannot define a task: its name is empty'],
  [{ run() {} }, 'Cannot define a task: its name is of type undefined, not a string'],
  [{ name: `A${'a'.repeat(128)}`, run() {} }, 'Cannot define a task: its name has 129 characters, more than 128']
]
for (const [definition, message] of refused) {
  test(`defineTask() refuses: ${message.slice(0, 70)}`, () => {
    assert.throws(
      () => defineTask(definition as never),
      (error: unknown) => error instanceof TypeError && error.message === message
    )
  })
}

test('names are in CamelCase, in any script', () => {
  for (const name of ['A', 'SendEmail', 'SendEmail2', 'Ödeme', 'X509Check']) assert.ok(isTaskName(name), name)
  for (const name of ['a', 'sendEmail', 'Send_Email', 'Send-Email', 'Send Email', '2Send', '', 'Send.Email']) {
    assert.not.ok(isTaskName(name), name)
  }
})
