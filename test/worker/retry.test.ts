import { type Backoff, createBackground, defineTask, type Task } from '../../mod.ts'
import { compileBackoff } from '../../src/backoff.ts'
import { PermanentError } from '../../src/errors.ts'
import { onceDone } from '../helpers/cleanup.ts'
import { createDatabase } from '../helpers/database.ts'
import { assert, suite } from '../helpers/suite.ts'
import { until } from '../helpers/until.ts'
import { createRecorder, work } from './work.ts'

const form = suite('a backoff')
const test = suite('retries')

form('is exponential from a second to six hours, a quarter left to chance', () => {
  const delayOf = compileBackoff('exponential', 'test')
  for (const [attempt, most] of [
    [1, 1_000],
    [2, 2_000],
    [5, 16_000],
    [40, 21_600_000]
  ] as const) {
    const delays = Array.from({ length: 200 }, () => delayOf(attempt, undefined))
    assert.ok(Math.max(...delays) <= most && Math.min(...delays) >= most * 0.75, `${attempt}: ${delays}`)
    assert.ok(new Set(delays).size > 20)
  }
})

form('takes figures, a fixed delay, a list whose last is repeated, and a function', () => {
  const delays = (backoff: Backoff): number[] =>
    [1, 2, 3, 4].map(n => compileBackoff(backoff, 'test')(n, new Error('no')))
  assert.equal(delays({ type: 'exponential', base: '2s', max: 9_000, jitter: 0 }), [2_000, 4_000, 8_000, 9_000])
  assert.equal(delays({ type: 'fixed', delay: '5m' }), [300_000, 300_000, 300_000, 300_000])
  assert.equal(delays([0, '1s', { minutes: 1 }]), [0, 1_000, 60_000, 60_000])
  assert.equal(
    delays((attempt, error) => attempt * (error as Error).message.length),
    [2, 4, 6, 8]
  )
})

const refused: [unknown, string][] = [
  ['linear', 'backoff is "linear", neither exponential, fixed, a list nor a function'],
  [null, 'backoff is null, neither exponential, fixed, a list nor a function'],
  [[], 'backoff is an empty list'],
  [['1s', 'soon'], `backoff[1] is "soon", not a duration such as '5m', 300_000 or { minutes: 5 }`],
  [{ type: 'fixed' }, "backoff.delay is of type undefined, not a duration such as '5m', 300_000 or { minutes: 5 }"],
  [{ type: 'exponential', jitter: 2 }, 'backoff.jitter is 2, not from 0 to 1'],
  [{ type: 'exponential', base: -1 }, 'backoff.base is -1 ms, less than nothing']
]
for (const [backoff, message] of refused) {
  form(`is refused: ${message}`, () => {
    assert.throws(
      () => defineTask({ name: 'Failing', run() {}, backoff: backoff as Backoff }),
      (error: unknown) => (error as Error).message === `Cannot define Failing: ${message}`
    )
  })
}

const database = await createDatabase()
const { sql } = database
const background = createBackground({ connection: database.url })
onceDone(() => background.close())
await background.migrate()

test.after.each(async () => {
  await sql`truncate graphile_worker._private_jobs`
})

test('come when the backoff of the task says, else when that of the worker does', async () => {
  const starts: Record<string, number[]> = { Own: [], Plain: [] }
  const run: Task = (_input, { job }) => {
    starts[job.task]?.push(Date.now())
    throw new Error('not yet')
  }
  const Own = defineTask({ name: 'Own', backoff: [100, 300], run })
  const Plain = defineTask({ name: 'Plain', run })
  const log = createRecorder()
  await using _worker = await work(database, {
    tasks: { Own, Plain },
    backoff: { type: 'fixed', delay: 200 },
    logger: log
  })
  await background.schedule({ task: Own, maxAttempts: 4 })
  await background.schedule({ task: 'Plain', maxAttempts: 4 })
  await until(() => log.of('job.failed').filter(({ fields }) => fields.isLast).length === 2)
  const pauses = (name: string): number[] => (starts[name] ?? []).slice(1).map((at, n) => at - (starts[name]?.[n] ?? 0))
  for (const [name, expected] of Object.entries({ Own: [100, 300, 300], Plain: [200, 200, 200] })) {
    const real = pauses(name)
    assert.is(real.length, 3)
    for (const [n, pause] of real.entries()) assert.ok(pause >= (expected[n] ?? 0), `${name}: ${real}`)
  }
  assert.equal(
    log
      .of('job.failed')
      .filter(({ fields }) => fields.task === 'Own')
      .map(({ fields }) => fields.delayMs),
    [100, 300, 300, undefined]
  )
})

test('of a hundred jobs start at their time and not at the next poll', async () => {
  const delays = new Map<string, number>()
  let retried = 0
  const log = createRecorder()
  await using _worker = await work(database, {
    backoff: (_attempt, error) => Number((error as Error).message),
    // So seldom that none is found by polling.
    pollInterval: 600_000,
    logger: log,
    tasks: {
      Flaky: (_input, { job, attempt }) => {
        if (attempt > 1) return void retried++
        const delayMs = 100 + Math.round(Math.random() * 1_500)
        delays.set(job.id, delayMs)
        throw new Error(String(delayMs))
      }
    }
  })
  await background.scheduleMany({ task: 'Flaky', payloads: Array.from({ length: 100 }, (_, n) => ({ n })) })
  await until(() => retried === 100)
  assert.equal(new Map(log.of('job.failed').map(({ fields }) => [fields.job, fields.delayMs])), delays)
})

test('of a queue leave the queue to the next job meanwhile', async () => {
  const order: string[] = []
  await using _worker = await work(database, {
    backoff: { type: 'fixed', delay: '1h' },
    tasks: {
      Step: ({ name }, { attempt }) => {
        order.push(`${name} ${attempt}`)
        if (name === 'first' && attempt === 1) throw new Error('not yet')
      }
    }
  })
  const jobs: string[] = []
  for (const name of ['first', 'second', 'third']) {
    jobs.push((await background.schedule({ task: 'Step', payload: { name }, queue: { name: 'steps' } })).id)
  }
  await until(() => order.length === 3)
  assert.equal(order, ['first 1', 'second 1', 'third 1'])
  await until(async () => (await sql`select from graphile_worker.jobs where locked_at is null`).length === 1)
  await sql`select graphile_worker.reschedule_jobs(array[${jobs[0] ?? null}::bigint], run_at => now())`
  await until(() => order.length === 4)
  assert.is(order[3], 'first 2')
})

test('end with a PermanentError, and with one of another copy of kretes', async () => {
  const ofAnotherCopy = Object.assign(new Error('the card was removed'), {
    [Symbol.for('kretes.error.permanent')]: true
  })
  const log = createRecorder()
  await using _worker = await work(database, {
    logger: log,
    tasks: {
      Own: () => {
        throw new PermanentError('the card was removed')
      },
      Other: async () => {
        throw ofAnotherCopy
      }
    }
  })
  for (const task of ['Own', 'Other']) {
    const { id } = await background.schedule({ task })
    const row = await until(async () => {
      const rows =
        await sql`select attempts = max_attempts as over, locked_at, last_error from graphile_worker.jobs where id = ${id}`
      return rows[0]?.over && rows[0].locked_at === null && rows[0]
    })
    assert.match(row?.last_error, /the card was removed/)
  }
  assert.equal(
    log.of('job.failed').map(({ fields }) => [fields.attempt, fields.isLast]),
    [
      [1, true],
      [1, true]
    ]
  )
})

test('keep the name, message, stack and causes of the error', async () => {
  class PaymentError extends Error {
    override readonly name = 'PaymentError'
  }
  await using _worker = await work(database, {
    tasks: {
      Pay: () => {
        throw new PaymentError('Cannot pay \0 \uD800', { cause: new TypeError('no card', { cause: 'a word' }) })
      },
      Long: () => {
        throw new Error('x'.repeat(100_000))
      },
      Odd: () => {
        throw { status: 500 }
      }
    }
  })
  const errorOf = async (task: string): Promise<string> => {
    const { id } = await background.schedule({ task, maxAttempts: 1 })
    return await until(async () => {
      const [row] = await sql`select last_error from graphile_worker.jobs where id = ${id} and locked_at is null`
      return row?.last_error
    })
  }
  const text = await errorOf('Pay')
  assert.match(text, /^PaymentError: Cannot pay \uFFFD \uFFFD\n +at /)
  assert.match(text, /\ncaused by TypeError: no card\n +at .*retry\.test\.ts/)
  assert.match(text, /\ncaused by a word$/)
  assert.is((await errorOf('Long')).length, 8_192)
  assert.is(await errorOf('Odd'), '{ status: 500 }')
})

test('are over after maxAttempts; then onFailure is called, and what it throws changes nothing', async () => {
  const told: unknown[] = []
  const log = createRecorder()
  const Doomed = defineTask({
    name: 'Doomed',
    maxAttempts: 2,
    backoff: [0],
    run: async (_input: { n: number }) => {
      throw new Error('no')
    },
    onFailure: async (error, { job, attempt, signal }, input) => {
      told.push([(error as Error).message, job.task, attempt, signal.aborted, input])
      throw new Error('and no again')
    }
  })
  await using _worker = await work(database, { tasks: { Doomed }, logger: log })
  const { id } = await background.schedule({ task: Doomed, payload: { n: 7 } })
  await until(async () => {
    const [row] = await sql`select attempts, locked_at from graphile_worker.jobs where id = ${id}`
    return row?.attempts === 2 && row.locked_at === null
  })
  assert.equal(told, [['no', 'Doomed', 2, false, { n: 7 }]])
  assert.is(log.of('job.onFailure').length, 1)
  assert.equal(
    log.of('job.failed').map(({ fields }) => fields.isLast),
    [false, true]
  )
})

test('go on when a backoff throws', async () => {
  const log = createRecorder()
  await using _worker = await work(database, {
    logger: log,
    backoff: () => 'soon',
    tasks: {
      Failing: () => {
        throw new Error('no')
      }
    }
  })
  await background.schedule({ task: 'Failing' })
  const failed = await until(() => log.of('job.failed')[0])
  assert.ok(Number(failed?.fields.delayMs) >= 750)
  assert.ok(log.lines.some(({ message }) => /its backoff threw/.test(message)))
})
