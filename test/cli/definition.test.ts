import { createDatabase } from '../helpers/database.ts'
import { assert, suite } from '../helpers/suite.ts'
import { createProgram } from './program.ts'

const test = suite('schedule from the command line takes the definition of a task')
const { url, sql } = await createDatabase()
const { run } = await createProgram(
  {
    'tasks/Queued.ts': `
      import { defineTask, Queue } from 'kretes'
      const schema = { '~standard': { version: 1, vendor: 'test', validate: value =>
        typeof value.n === 'number' ? { value } : { issues: [{ message: 'not a number', path: ['n'] }] } } }
      export default defineTask({ name: 'Queued', schema, queue: Queue.for('one'), priority: 7, maxAttempts: 3, run() {} })`,
    'tasks/Minified.js': 'var i=async()=>{};export{i as default};',
    'tasks/Other.ts':
      "import { defineTask } from 'kretes'\nexport default defineTask({ name: 'ByHand', priority: 2, run() {} })",
    'tasks/Broken.ts': 'throw new Error("No configuration")'
  },
  { DATABASE_URL: url }
)

async function find(id: string): Promise<object | undefined> {
  const [row] = await sql`
    select task, queue, priority, max_attempts as attempts from kretes.jobs where id = ${id}`
  return row
}

async function schedule(...args: string[]): Promise<object | undefined> {
  const { code, stdout, stderr } = await run(['bg', 'schedule', ...args, '--json'])
  assert.is(code, 0, stderr)
  return await find(JSON.parse(stdout).id)
}

test('its schema refuses a payload, of one job and of many', async () => {
  const refused = await run(['bg', 'schedule', 'Queued', '{"n":"not a number"}'])
  assert.equal(
    [refused.code, refused.stderr, refused.stdout],
    [2, 'Cannot schedule Queued: payload.n: not a number\n', '']
  )
  const many = await run(['bg', 'schedule', 'Queued', '--lines', 'package.json'])
  assert.equal([many.code, many.stderr], [2, 'Cannot schedule Queued: payload.n: not a number\n'])
})

test('its queue, priority and attempts hold unless the line says otherwise', async () => {
  assert.equal(await schedule('Queued', '{"n":1}'), { task: 'Queued', queue: 'one', priority: 7, attempts: 3 })
  assert.equal(await schedule('Queued', '{"n":1}', '--queue', 'two', '--priority', '0'), {
    task: 'Queued',
    queue: 'two',
    priority: 0,
    attempts: 3
  })
})

test('a file counts by its name, or by the name that its task has by hand', async () => {
  assert.equal(await schedule('Minified'), { task: 'Minified', queue: null, priority: 0, attempts: 25 })
  assert.equal(await schedule('ByHand'), { task: 'ByHand', queue: null, priority: 2, attempts: 25 })
})

test('a file that cannot be loaded is said, and --force does without it', async () => {
  const { code, stderr } = await run(['bg', 'schedule', 'Broken'])
  assert.equal(
    [code, stderr],
    [
      1,
      'Cannot load the task Broken: 1 problem\n  tasks/Broken.ts: cannot be loaded: Error: No configuration, at line 1\n'
    ]
  )
  assert.equal(await schedule('Broken', '--force'), { task: 'Broken', queue: null, priority: 0, attempts: 25 })
})
