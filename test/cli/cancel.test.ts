import { createDatabase } from '../helpers/database.ts'
import { assert, suite } from '../helpers/suite.ts'
import { createProgram, TASKS } from './program.ts'

const test = suite('kretes background cancel')
const { url } = await createDatabase()
const { run, start } = await createProgram(TASKS, { DATABASE_URL: url })

async function schedule(task: string, payload = '{}'): Promise<string> {
  const { stdout } = await run(['bg', 'schedule', task, payload, '--json'])
  return JSON.parse(stdout).id
}

test('removes a job that waits, and fails when it is gone', async () => {
  const id = await schedule('Greet')
  const removed = await run(['bg', 'cancel', id])
  assert.equal([removed.code, removed.stdout, removed.stderr], [0, `Removed ${id}\n`, ''])
  const gone = await run(['background', 'cancel', id])
  const message = `Cannot cancel ${id}: there is no such job, or it has ended\n`
  assert.equal([gone.code, gone.stdout, gone.stderr], [1, '', message])
  const json = await run(['bg', 'cancel', id, '--json'])
  assert.equal([json.code, json.stdout], [1, `${JSON.stringify({ job: id, outcome: 'not found' })}\n`])
})

test('stops a job that runs in another process', async () => {
  const id = await schedule('Wait', '{ "file": "never" }')
  const worker = start(['bg'])
  await worker.output(/Wait \d+ {2}started/)
  const { code, stdout } = await run(['bg', 'cancel', id])
  assert.equal([code, stdout], [0, `Cancelling ${id}: its worker has been told to stop it\n`])
  await worker.output(new RegExp(`× Wait ${id} {2}cancelled after `))
  worker.kill('SIGINT')
  assert.is((await worker.exit).code, 0)
})

test('refuses what names no job', async () => {
  const empty = await run(['bg', 'cancel', ''])
  assert.is(empty.code, 2)
  assert.match(empty.stderr, /^Cannot cancel a job: key is empty\n/)
  const missing = await run(['bg', 'cancel'])
  assert.is(missing.code, 2)
  assert.match(missing.stderr, /^Cannot cancel jobs: none are given\. Say which, by id or key, or by --state/)
})
