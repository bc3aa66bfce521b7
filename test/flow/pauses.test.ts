import { inspect } from 'node:util'
import postgres from 'postgres'
import { createBackground } from '../../src/background.ts'
import { Queue } from '../../src/queue.ts'
import { defineTask } from '../../src/task.ts'
import { onceDone } from '../helpers/cleanup.ts'
import { createDatabase } from '../helpers/database.ts'
import { assert, suite } from '../helpers/suite.ts'
import { createRecorder } from '../worker/work.ts'
import { POLL, prepare, stopWorkers, work } from './prepare.ts'

const test = suite('pause(), resume() and pauses()')
test.after.each(stopWorkers)
const { database, background } = await prepare()
const { sql } = database

test.before.each(() => sql`delete from kretes.paused`)

test('tell what is paused, since when, by whom and why, the oldest pause first', async () => {
  const [{ now: before } = {}] = await sql`select clock_timestamp() as now`
  const first = await background.pause({ queue: Queue.for('email'), reason: 'The mail server is down', by: 'Ada' })
  const { since, ...rest } = first
  assert.equal(rest, {
    kind: 'queue',
    name: 'email',
    key: null,
    by: 'Ada',
    reason: 'The mail server is down',
    isKnown: false
  })
  assert.ok(since >= before && since.getTime() <= Date.now() + 60_000)
  const SendEmail = defineTask({ name: 'SendEmail', run: () => {} })
  const [{ user } = {}] = await sql`select session_user as user`
  assert.equal((await background.pause({ task: SendEmail })).by, user)
  const all = await background.pause({ all: true })
  assert.equal([all.kind, all.name, all.reason, all.isKnown], ['all', null, null, true])
  const pauses = await background.pauses()
  assert.equal(pauses[0], first)
  assert.equal(
    pauses.map(({ kind, name }) => [kind, name]),
    [
      ['queue', 'email'],
      ['task', 'SendEmail'],
      ['all', null]
    ]
  )
  const view = await sql`select * from kretes.pauses order by paused_at`
  assert.equal(
    view.map(row => [row.kind, row.name, row.paused_by, row.reason]),
    pauses.map(({ kind, name, by, reason }) => [kind, name, by, reason])
  )
  assert.equal(
    view.map(row => row.paused_at),
    pauses.map(pause => pause.since)
  )
})

test('change the reason and the person of what is paused already, and nothing else', async () => {
  const first = await background.pause({ task: 'SendEmail', reason: 'first', by: 'Ada' })
  const second = await background.pause({ task: 'SendEmail', by: 'Bob' })
  assert.equal(second, { ...first, by: 'Bob', reason: null })
  assert.equal(await background.pauses(), [second])
  assert.equal(await background.resume({ task: 'SendEmail' }), second)
  assert.equal(await background.pauses(), [])
  const third = await background.pause({ task: 'SendEmail' })
  assert.ok(third.since > first.since)
})

test('end nothing where nothing is paused, and no other pause', async () => {
  await background.pause({ queue: 'Same' })
  assert.is(await background.resume({ task: 'Same' }), undefined)
  assert.is(await background.resume({ all: true }), undefined)
  assert.is(await background.resume({ queue: 'same' }), undefined)
  assert.is((await background.resume({ queue: 'Same' }))?.name, 'Same')
  assert.is(await background.resume({ queue: 'Same' }), undefined)
})

test('know tasks and queues that have ever been', async () => {
  await background.schedule({ task: 'Known', queue: Queue.for('known') })
  const known = async (target: Parameters<typeof background.pause>[0]): Promise<unknown[]> => {
    const { isKnown } = await background.pause(target)
    const [listed] = await background.pauses()
    return [isKnown, listed?.isKnown, (await background.resume(target))?.isKnown]
  }
  assert.equal(await known({ task: 'Known' }), [true, true, true])
  assert.equal(await known({ queue: 'known' }), [true, true, true])
  assert.equal(await known({ task: 'known' }), [false, false, false])
  assert.equal(await known({ task: 'Registered' }), [false, false, false])
  await using worker = await work(database, { tasks: { Registered: () => {} }, ...POLL })
  await worker.ready
  assert.equal(await known({ task: 'Registered' }), [true, true, true])
  assert.equal(await known({ queue: 'Known' }), [false, false, false])
})

const NAMES = [
  "it's",
  'a "b" c',
  '{a,b}',
  ' spaces ',
  '$1; drop table kretes.paused',
  '%s\\',
  'ž日本🚀',
  'red\u001b[31m\n'
]

test('take any name as it is', async () => {
  const ran: string[] = []
  await work(database, { tasks: { Count: ({ name }) => void ran.push(name) }, ...POLL })
  for (const name of NAMES) {
    await background.pause({ queue: name, reason: name, by: name })
    await background.pause({ task: name })
    const [queue, task] = await background.pauses()
    assert.equal([queue?.name, queue?.reason, queue?.by, task?.name], [name, name, name, name])
    const held = await background.schedule({ task: 'Count', payload: { name }, queue: Queue.for(name) })
    await background
      .schedule({ task: 'Count', payload: { name: 'free' }, queue: Queue.for(`not ${name}`) })
      .then(job => background.result(job))
    assert.equal(ran.splice(0), ['free'])
    assert.is((await background.resume({ queue: name }))?.name, name)
    await background.result(held)
    assert.equal(ran.splice(0), [name])
    assert.is((await background.resume({ task: name }))?.name, name)
  }
})

const TARGETS: readonly [unknown, typeof TypeError | typeof RangeError, RegExp][] = [
  [undefined, TypeError, /: the options are .+, not an object$/],
  [null, TypeError, /: the options are null, not an object$/],
  ['email', TypeError, /, not an object$/],
  [{}, TypeError, /: give one of task, queue, limit and all, not 0 of them$/],
  [{ task: 'A', queue: 'b' }, TypeError, /: give one of task, queue, limit and all, not 2 of them$/],
  [{ task: 'A', queue: 'b', all: true }, TypeError, /, not 3 of them$/],
  [{ all: false }, TypeError, /: all is false, not true$/],
  [{ all: 1 }, TypeError, /: all is 1, not true$|: all is of type number, not true$|: all is a number, not true$/],
  [{ task: 1 }, TypeError, /: task is .+, neither a task nor a name$/],
  [{ task: null }, TypeError, /: task is null, neither a task nor a name$/],
  [{ task: () => {} }, TypeError, /^Cannot (pause|resume): its name .+ Name the task by hand/],
  [{ queue: 1 }, TypeError, /Cannot name a queue/],
  [{ queue: null }, TypeError, /Cannot name a queue/],
  [{ queue: {} }, TypeError, /Cannot name a queue/],
  [{ queue: '' }, RangeError, /Cannot name a queue/],
  [{ queue: 'q'.repeat(129) }, RangeError, /Cannot name a queue/],
  [{ queue: { name: '' } }, RangeError, /Cannot name a queue/],
  [{ queue: 'a\u0000b' }, RangeError, /: the name holds a character that PostgreSQL cannot hold$/],
  [{ queue: 'a\ud800b' }, RangeError, /: the name holds a character that PostgreSQL cannot hold$/],
  [{ task: 'a\u0000b' }, RangeError, /: task holds a character that PostgreSQL cannot hold$/],
  [{ queues: 'email' }, TypeError, /: there is no option queues\. Did you mean queue\?$/]
]
const OPTIONS: typeof TARGETS = [
  [{ queue: 'a', reason: 1 }, TypeError, /: reason is .+, not a string$/],
  [{ queue: 'a', reason: null }, TypeError, /: reason is null, not a string$/],
  [{ queue: 'a', reason: 'a\u0000' }, RangeError, /: reason holds a character that PostgreSQL cannot hold$/],
  [{ queue: 'a', by: 1 }, TypeError, /: by is .+, not a string$/],
  [{ queue: 'a', by: '\ud800' }, RangeError, /: by holds a character that PostgreSQL cannot hold$/]
]

for (const [given, type, message] of [...TARGETS, ...OPTIONS]) {
  test(`refuse ${inspect(given, { breakLength: Number.POSITIVE_INFINITY }).slice(0, 80)}`, async () => {
    const isTarget = !OPTIONS.some(([options]) => options === given)
    const calls = [
      () => background.pause(given as never),
      ...(isTarget ? [() => background.resume(given as never)] : [])
    ]
    for (const call of calls) {
      const error = await call().catch(error => error)
      assert.instance(error, type, String(error?.message))
      assert.match(error.message, message)
    }
    assert.equal(await background.pauses(), [])
  })
}

test('refuse a reason when they resume', async () => {
  const error = await background.resume({ queue: 'a', reason: 'x' } as never).catch(error => error)
  assert.instance(error, TypeError)
  assert.match(error.message, /^Cannot resume: there is no option reason/)
})

test('need the privileges of the owner, and name the role that paused', async () => {
  const role = `role_${database.name}`
  await sql.unsafe(`create role "${role}" login`)
  onceDone(() => sql.unsafe(`drop owned by "${role}"`).then(() => sql.unsafe(`drop role "${role}"`)))
  const url = Object.assign(new URL(database.url), { username: role }).href
  await using weak = createBackground({ connection: url })
  const error = await weak.pause({ all: true }).catch(error => error)
  assert.is(error.code, 'MIGRATION')
  assert.match(error.message, /^Cannot pause everything: .+ lacks a privilege there/)
  const [{ owner } = {}] = await sql`select current_user as owner`
  await sql.unsafe(`grant "${owner}" to "${role}"`)
  await using member = createBackground({ connection: url })
  assert.is((await member.pause({ all: true })).by, role)
  assert.is((await member.pauses()).length, 1)
  assert.is((await member.resume({ all: true }))?.by, role)
})

test('work with the client of the caller, and need the schema', async () => {
  const client = postgres(database.url, { max: 1, onnotice: () => {} })
  onceDone(() => client.end())
  await using own = createBackground({ connection: client })
  assert.equal((await own.pause({ task: 'SendEmail' })).isKnown, false)
  assert.is((await own.pauses()).length, 1)
  assert.is((await own.resume({ task: 'SendEmail' }))?.name, 'SendEmail')
  const empty = await createDatabase({ isEmpty: true })
  await using early = createBackground({ connection: empty.url })
  for (const call of [() => early.pause({ all: true }), () => early.resume({ all: true }), () => early.pauses()]) {
    const error = await call().catch(error => error)
    assert.is(error.code, 'MIGRATION')
  }
})

test('of what a worker runs are told by it when it starts', async () => {
  const { since } = await background.pause({ queue: "it's", reason: 'Why\nnot', by: 'Ada' })
  await background.pause({ task: 'Count' })
  await background.pause({ task: 'Other' })
  const logger = createRecorder()
  await using worker = await work(database, { tasks: { Count: () => {} }, logger, ...POLL })
  await worker.ready
  const lines = logger.of('worker.paused')
  assert.equal(
    lines.map(({ level, fields }) => [level, fields.kind, fields.name, fields.reason]),
    [
      ['warn', 'queue', "it's", 'Why\nnot'],
      ['warn', 'task', 'Count', null]
    ]
  )
  assert.is(
    lines[0]?.message,
    `The queue it's is paused since ${since.toISOString()}, by Ada: Why\nnot. Resume it: kretes background resume --queue 'it'\\''s'`
  )
})
