import { createBackground, PermanentError, Snooze, type Task } from '../../mod.ts'
import type { Logger } from '../../src/logger.ts'
import type { JobDetails } from '../../src/manage/jobs.ts'
import { defineTask } from '../../src/task.ts'
import { describeError, toErrorJson } from '../../src/worker/execution/error-text.ts'
import { onceDone } from '../helpers/cleanup.ts'
import { createDatabase } from '../helpers/database.ts'
import { assert, suite } from '../helpers/suite.ts'
import { until } from '../helpers/until.ts'
import { createRecorder, work } from './work.ts'

const reading = suite('what was thrown')
const running = suite('a task that throws what cannot be read')
const logging = suite('a logger that throws')

const database = await createDatabase()
const { sql } = database
const background = createBackground({ connection: database.url })
onceDone(() => background.close())

async function whenFailed(id: string): Promise<JobDetails> {
  await until(async () => (await background.job(id))?.state === 'failed')
  return (await background.job(id)) as JobDetails
}

const refuse = (): never => {
  throw new Error('not to be read')
}
const withGetter = (error: Error, ...keys: string[]): Error => {
  for (const key of keys) Object.defineProperty(error, key, { get: refuse })
  return error
}
function revoked(): unknown {
  const { proxy, revoke } = Proxy.revocable(new Error('gone'), {})
  revoke()
  return proxy
}
function endless(): Error {
  return Object.defineProperty(new Error('again'), 'cause', { get: endless })
}
const circle = new Error('circle')
circle.cause = circle

/** By what it is: what is thrown, and what can be read of it. */
const HOSTILE: Record<string, [thrown: unknown, text: RegExp]> = {
  'an error whose message throws': [
    withGetter(new TypeError('x'), 'message'),
    /^TypeError: its message cannot be read/
  ],
  'an error whose name throws': [withGetter(new Error('readable'), 'name'), /^Error: readable/],
  'an error whose stack and cause throw': [withGetter(new Error('readable'), 'stack', 'cause'), /^Error: readable/],
  'an error of which nothing can be read': [withGetter(new Error('x'), 'message', 'name', 'stack', 'cause'), /./],
  'a revoked proxy': [revoked(), /Proxy/],
  'an error with a revoked cause': [new Error('outer', { cause: revoked() }), /^Error: outer[\s\S]*caused by /],
  'errors without an end': [endless(), /^Error: again/],
  'an error that is its own cause': [circle, /^Error: circle/],
  'a list of errors without an end': [Object.assign(new Error('many'), { errors: Array(1e9) }), /^Error: many/],
  'what throws when it is shown': [{ [Symbol.for('nodejs.util.inspect.custom')]: refuse }, /./],
  'what throws when it becomes text': [{ toString: refuse, toJSON: refuse, [Symbol.toPrimitive]: refuse }, /./],
  'an object without a prototype': [Object.create(null), /Object/],
  'a symbol': [Symbol('odd'), /odd/],
  'a function': [refuse, /refuse/],
  nothing: [undefined, /undefined/],
  'a message of 100 MB': [new Error('x'.repeat(100_000_000)), /^Error: x{8000}/]
}

for (const [name, [thrown, text]] of Object.entries(HOSTILE)) {
  reading(`can be described if it is ${name}`, () => {
    assert.match(describeError(thrown), text)
    assert.ok(describeError(thrown).length <= 8_192)
    const { name, message } = JSON.parse(toErrorJson(thrown))
    assert.type(name, 'string')
    assert.type(message, 'string')
    assert.ok(toErrorJson(thrown).length < 20_000)
  })
}

running('fails for good, is logged, and calls its onFailure, whatever it throws', async () => {
  const log = createRecorder()
  const mourned = new Map<string, unknown>()
  const Hostile = defineTask({
    name: 'Hostile',
    run: ({ name }: { name: string }) => Promise.reject(HOSTILE[name]?.[0]),
    onFailure: (error, _context, { name }) => void mourned.set(name, error)
  })
  await using _worker = await work(database, { tasks: { Hostile }, logger: log })
  for (const [name, [thrown, text]] of Object.entries(HOSTILE)) {
    const { id } = await background.schedule({ task: Hostile, payload: { name }, maxAttempts: 1 })
    const job = await whenFailed(id)
    assert.match(job.error ?? '', text, name)
    assert.is(job.runs[0]?.state, 'failed', name)
    assert.is(log.of('job.failed').filter(({ fields }) => fields.job === id).length, 1, name)
    assert.ok(Object.is(mourned.get(name), thrown), name)
  }
})

reading('loses no frames to a message that looks like them', () => {
  const error = new Error('first\n    at nowhere (made up)')
  error.stack = `Error: ${error.message}\n    at real (place)`
  assert.equal(JSON.parse(toErrorJson(error)).stack, '    at real (place)')
})

running('is believed when it says that the failure is permanent', async () => {
  let runs = 0
  const tasks: Record<string, Task> = {
    Permanent: () => {
      runs++
      throw withGetter(new PermanentError('x'), 'message', 'stack')
    }
  }
  await using _worker = await work(database, { tasks, backoff: { type: 'fixed', delay: 0 } })
  const { id } = await background.schedule({ task: 'Permanent' })
  await whenFailed(id)
  assert.is(runs, 1)
})

for (const [name, change] of Object.entries({
  'whose time throws': (snooze: Snooze) => Object.defineProperty(snooze, 'until', { get: refuse }),
  'until a time beyond all years': (snooze: Snooze) => Object.assign(snooze, { until: new Date(Date.now() * 1_000) }),
  'until no time at all': (snooze: Snooze) => Object.assign(snooze, { until: 'soon' }),
  'for ever': (snooze: Snooze) => Object.assign(snooze, { delayMs: Number.POSITIVE_INFINITY })
})) {
  running(`fails with a clear error if it snoozes ${name}`, async () => {
    const tasks: Record<string, Task> = {
      Snoozing: () => {
        throw change(new Snooze(5))
      }
    }
    await using _worker = await work(database, { tasks })
    const { id } = await background.schedule({ task: 'Snoozing', maxAttempts: 1 })
    const job = await whenFailed(id)
    assert.match(job.error ?? '', /^(?:Range|Type)?Error: (?:Cannot snooze: |not to be read)/)
  })
}

running('does not fail for what it logs, or for how far it says it is', async () => {
  const log = createRecorder()
  const fields = Object.defineProperties({ kept: 1 } as Record<string, unknown>, {
    bad: { get: refuse, enumerable: true }
  })
  const tasks: Record<string, Task> = {
    Telling: (_input, { log: tell, progress }) => {
      tell('with a getter', fields)
      tell('with a revoked proxy', revoked() as never)
      tell('with one inside', { inner: revoked(), error: revoked(), deep: { fields } })
      tell(Object.create(null) as never)
      progress(Object.create(null) as never)
      progress(0.5, Object.create(null) as never)
    }
  }
  await using _worker = await work(database, { tasks, logger: log })
  const { id } = await background.schedule({ task: 'Telling' })
  await until(async () => (await background.job(id))?.isGone)
  assert.is((await background.job(id))?.state, 'succeeded')
  const [first] = log.of('task.log')
  assert.is(first?.fields.kept, 1)
  assert.match(String(first?.fields.bad), /^cannot be read: Error: not to be read/)
  const [run] = await sql`select json_array_length(log) as lines from kretes.runs where job_id = ${id}`
  assert.is(run?.lines, 4)
})

const LOGGERS: Record<string, (level: keyof Logger) => Logger['info']> = {
  always: () => refuse,
  'late, since it is asynchronous': () => () => Promise.reject(new Error('late')) as never,
  'at what is not readable': () => (_message, fields) => {
    const { error } = fields ?? {}
    if (error !== undefined) void `${(error as Error).message}`
  }
}

for (const [when, method] of Object.entries(LOGGERS)) {
  logging(`${when} changes no job's outcome`, async () => {
    let runs = 0
    const logger = { debug: method('debug'), info: method('info'), warn: method('warn'), error: method('error') }
    const tasks: Record<string, Task> = {
      Fine: (_input, { log }) => {
        runs++
        log('a line')
        return 'done'
      },
      Broken: () => {
        throw withGetter(new Error('x'), 'message')
      }
    }
    await using _worker = await work(database, { tasks, logger, backoff: { type: 'fixed', delay: 0 } })
    const fine = await background.schedule({ task: 'Fine' })
    assert.is(await fine.result({ timeout: '20s' }), 'done')
    assert.is(runs, 1)
    const broken = await background.schedule({ task: 'Broken', maxAttempts: 2 })
    await whenFailed(broken.id)
    const rows = await sql`select attempt, state from kretes.runs where job_id = ${broken.id} order by attempt`
    assert.equal(
      rows.map(({ attempt, state }) => [attempt, state]),
      [
        [1, 'failed'],
        [2, 'failed']
      ]
    )
  })
}

logging('at what a task threw gets the line once more in plain words', async () => {
  const lines: unknown[] = []
  const error: Logger['info'] = (_message, fields) => {
    const { error } = fields as { error: Error }
    lines.push(`${error.name}: ${error.message}`)
  }
  const logger: Logger = { debug() {}, info() {}, warn() {}, error }
  await using _worker = await work(database, {
    logger,
    tasks: {
      Broken: () => {
        throw withGetter(new TypeError('x'), 'message')
      }
    }
  })
  const { id } = await background.schedule({ task: 'Broken', maxAttempts: 1 })
  await whenFailed(id)
  assert.equal(lines, ['TypeError: its message cannot be read'])
})
