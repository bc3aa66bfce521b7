import { createBackground } from '../../src/background.ts'
import { onceDone } from '../helpers/cleanup.ts'
import { createDatabase } from '../helpers/database.ts'
import { assert, suite } from '../helpers/suite.ts'

const removal = suite('unschedule()')
const move = suite('reschedule()')

const { sql, url } = await createDatabase()
const background = createBackground({ connection: url })
onceDone(() => background.close())
await background.migrate()

removal('removes a job that waits, by its id, by itself and by its key', async () => {
  for (const name of ['id', 'itself', '{ id }', 'key'] as const) {
    const job = await background.schedule({ task: 'Remove', delay: '1h', key: `remove by ${name}` })
    const references = { id: job.id, itself: job, '{ id }': { id: job.id }, key: { key: `remove by ${name}` } }
    assert.equal(await background.unschedule(references[name]), job)
    assert.is(await isThere(job.id), false)
    await rejects(background.unschedule(job), 'JOB_GONE', `Cannot unschedule job ${job.id}: there is none`)
  }
  await rejects(
    background.unschedule({ key: 'remove by key' }),
    'JOB_GONE',
    'Cannot unschedule the job of key "remove by key": there is none'
  )
})

removal('leaves a job alone that a worker has, and one of another key', async () => {
  const job = await background.schedule({ task: 'Run', key: 'running' })
  const other = await background.schedule({ task: 'Run', key: 'another' })
  await lock(job.id)
  await rejects(background.unschedule(job), 'JOB_RUNNING', `Cannot unschedule job ${job.id}: a worker has it`)
  await rejects(background.unschedule({ key: 'running' }), 'JOB_RUNNING')
  const [row] = await sql`select key, attempts from graphile_worker.jobs where id = ${job.id}`
  assert.equal(row, { key: 'running', attempts: 1 })
  assert.is(await isThere(other.id), true)
})

removal('removes a job that failed for good', async () => {
  const job = await background.schedule({ task: 'Fail' })
  await sql`update graphile_worker._private_jobs set attempts = max_attempts where id = ${job.id}`
  assert.is((await background.unschedule(job)).attempts, 25)
})

move('changes what it is told and nothing else', async () => {
  const job = await background.schedule({
    task: 'Move',
    key: 'move',
    priority: 3,
    maxAttempts: 4,
    runAt: new Date(2e12)
  })
  const at = await background.reschedule(job, { runAt: '2040-01-02T03:04:05+01:00' })
  assert.equal(at, { ...job, runAt: new Date('2040-01-02T02:04:05Z') })
  const changed = await background.reschedule({ key: 'move' }, { priority: -5, maxAttempts: 9 })
  assert.equal(changed, { ...at, priority: -5, maxAttempts: 9 })
  const now = await background.reschedule(job.id, { delay: 0 })
  assert.ok(Math.abs(now.runAt.getTime() - Date.now()) < 60_000)
})

move('tells workers, which would find an earlier time only when they poll', async () => {
  const job = await background.schedule({ task: 'Notify', delay: '1h' })
  const heard = new Promise<string>(resolve => {
    sql.listen('jobs:insert', resolve).then(() => background.reschedule(job, { delay: 0 }))
  })
  assert.equal(JSON.parse(await heard), { count: 1 })
})

move('leaves a job alone that a worker has, and says when there is none', async () => {
  const job = await background.schedule({ task: 'Run' })
  await lock(job.id)
  await rejects(
    background.reschedule(job, { delay: 5 }),
    'JOB_RUNNING',
    `Cannot reschedule job ${job.id}: a worker has it`
  )
  await rejects(
    background.reschedule('9223372036854775807', { delay: 5 }),
    'JOB_GONE',
    'Cannot reschedule job 9223372036854775807: there is none'
  )
})

const id = 'Cannot unschedule a job: its id is'
for (const [reference, message] of [
  ['', 'Cannot unschedule a job: key is empty'],
  ['9223372036854775808', `${id} "9223372036854775808", not a number as text. For a key, pass { key }`],
  [{ id: 7 }, `${id} 7, not a number as text. For a key, pass { key }`],
  [7, 'Cannot unschedule a job: the argument is 7, not a job, an id or { key }'],
  [null, 'Cannot unschedule a job: the argument is null, not a job, an id or { key }'],
  [{ key: null }, 'Cannot unschedule a job: the argument is of type object, not a job, an id or { key }'],
  [{ key: 7 }, 'Cannot unschedule a job: key is 7, not a string']
] as const) {
  removal(`refuses ${JSON.stringify(reference)}`, () =>
    rejects(background.unschedule(reference as never), undefined, message)
  )
}

for (const [changes, message] of [
  [{}, 'Cannot reschedule a job: no change is given'],
  [undefined, 'Cannot reschedule a job: the options are of type undefined, not an object'],
  [{ runAt: new Date(), delay: 5 }, 'Cannot reschedule a job: both runAt and delay are given'],
  [{ priority: 40_000 }, 'Cannot reschedule a job: priority is 40000, not a whole number from -32,768 to 32,767'],
  [{ maxAttempts: 0 }, 'Cannot reschedule a job: maxAttempts is 0, not a whole number from 1 to 32,767']
] as const) {
  move(`refuses ${JSON.stringify(changes)}`, () =>
    rejects(background.reschedule('1', changes as never), undefined, message)
  )
}

async function lock(jobId: string): Promise<void> {
  await sql`
    update graphile_worker._private_jobs set locked_at = now(), locked_by = 'a worker', attempts = 1 where id = ${jobId}`
}

async function isThere(jobId: string): Promise<boolean> {
  return (await sql`select from graphile_worker.jobs where id = ${jobId}`).length > 0
}

async function rejects(call: Promise<unknown>, code: string | undefined, message?: string): Promise<void> {
  const error = await call.then(
    () => assert.unreachable('it did not reject'),
    thrown => thrown
  )
  assert.is(error.code, code)
  if (message) assert.is(error.message, message)
}
