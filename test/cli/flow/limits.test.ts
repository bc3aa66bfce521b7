import { createDatabase } from '../../helpers/database.ts'
import { assert, suite } from '../../helpers/suite.ts'
import { createProgram, TASKS } from '../program.ts'

const test = suite('kretes background limits')
const HOSTILE = 'it is \u001b[31m"x"; drop'
const FILES = {
  ...TASKS,
  'tasks/Charge.ts': `
    import { defineTask, Limit } from 'kretes'
    const limit = [Limit.for('stripe', { concurrency: 20 }), { concurrency: 2, per: ({ customer }) => customer ?? null }]
    export default defineTask({ name: 'Charge', limit, run: async () => {} })`,
  'tasks/Both.ts': `
    import { defineTask } from 'kretes'
    const limit = [{ concurrency: 7 }, { concurrency: 3, per: ({ key }) => key ?? null }]
    export default defineTask({ name: 'Both', limit, run: async () => {} })`,
  'tasks/Sync.ts': `
    import { defineTask, RateLimited } from 'kretes'
    const limit = [{ rate: '1/h' }, { concurrency: 3, rate: '10/30s', per: ({ shop }) => shop ?? null }]
    const run = async ({ shop }) => {
      if (shop === 'slow') throw new RateLimited({ until: '2999-01-01' })
    }
    export default defineTask({ name: 'Sync', limit, run })`,
  'tasks/Hostile.ts': `
    import { defineTask, Limit } from 'kretes'
    const limit = Limit.for(${JSON.stringify(HOSTILE)}, { concurrency: 1 })
    export default defineTask({ name: 'Hostile', limit, run: async () => {} })`
}
const { sql, url } = await createDatabase()
const { run, start } = await createProgram(FILES, { DATABASE_URL: url })
const none = await run(['bg', 'limits'])
assert.is((await run(['bg', '--once'])).code, 0)

test.before.each(
  () => sql`
    update kretes.declared_limits
    set set_concurrency = null, set_rate_count = null, set_rate_ms = null, set_at = null`
)

test('list nothing before a worker has registered a limit', () => {
  assert.equal([none.code, none.stdout, none.stderr], [0, '', 'No limits: no worker has registered a task with one\n'])
})

test('list the limits, shared ones first, and what was changed', async () => {
  await run(['bg', 'limits', 'set', '--limit', 'stripe', '--concurrency', '5', '--rate', '90/s'])
  for (const words of [['limits'], ['limits', 'list']]) {
    const { code, stdout, stderr } = await run(['bg', ...words])
    assert.equal([code, stderr], [0, ''])
    const [title, ...rows] = stdout.trimEnd().split('\n')
    assert.match(title!, /^LIMIT +OF +SLOTS +IN USE +RATE +BEGUN +WAITING +HELD UNTIL +CHANGED$/)
    assert.is(rows.length, 7)
    const rowOf = (pattern: RegExp): boolean => rows.some(row => pattern.test(row))
    assert.ok(rowOf(/^stripe +several tasks +5 +0 +90\/s +0 +0 +20.+, from 20 at a time$/), stdout)
    assert.ok(rowOf(/^Both +task +7 +0 +0$/), stdout)
    assert.ok(rowOf(/^Both +task, per key +3 +0 +0$/), stdout)
    assert.ok(rowOf(/^Charge +task, per key +2 +0 +0$/), stdout)
    assert.ok(rowOf(/^it is .+ several tasks +1 +0 +0$/), stdout)
    assert.ok(rowOf(/^Sync +task +0 +1\/h +0 +0$/), stdout)
    assert.ok(rowOf(/^Sync +task, per key +3 +0 +10\/30s +0 +0$/), stdout)
    assert.not.match(stdout, '\u001b')
  }
})

test('set and reset a limit, and say what the code declares', async () => {
  for (const [target, label, declared] of [
    [['--limit', 'stripe'], 'the limit stripe', '20 at a time'],
    [['--task', 'Charge'], 'the limit of Charge for each key', '2 at a time'],
    [['--task', 'Both', '--per-key'], 'the limit of Both for each key', '3 at a time'],
    [['--task', 'Sync', '--per-key'], 'the limit of Sync for each key', '3 at a time, 10/30s']
  ] as const) {
    const rate = declared.includes(',') ? ', 10/30s' : ''
    const set = await run(['bg', 'limits', 'set', ...target, '--concurrency', '4'])
    assert.equal([set.code, set.stderr], [0, ''])
    assert.is(set.stdout, `Set ${label} to 4 at a time${rate}. The code declares ${declared}\n`)
    const reset = await run(['bg', 'limits', 'reset', ...target])
    assert.equal([reset.code, reset.stdout, reset.stderr], [0, `Reset ${label} to ${declared}\n`, ''])
  }
})

test('set a rate, alone or with a concurrency, and reset both', async () => {
  for (const [options, size] of [
    [['--rate', '5/min'], '20 at a time, 5/min'],
    [['--rate', ' 10 / 60 s ', '--concurrency', '4'], '4 at a time, 10/min'],
    [['--concurrency', '3'], '3 at a time, 10/min']
  ] as const) {
    const { code, stdout, stderr } = await run(['bg', 'limits', 'set', '--limit', 'stripe', ...options])
    assert.equal([code, stderr], [0, ''])
    assert.is(stdout, `Set the limit stripe to ${size}. The code declares 20 at a time\n`)
  }
  const set = await run(['bg', 'limits', 'set', '--task', 'Sync', '--rate=7/day', '--json'])
  assert.equal([set.code, set.stdout], [1, ''])
  assert.is(
    (await run(['bg', 'limits', 'reset', '--limit', 'stripe'])).stdout,
    'Reset the limit stripe to 20 at a time\n'
  )
})

test('show what has begun, what waits, and until when a limit is held, as do why and the status', async () => {
  const schedule = async (shop: string): Promise<string> =>
    JSON.parse((await run(['bg', 'schedule', 'Sync', JSON.stringify({ shop }), '--json'])).stdout).id
  const worker = start(['bg'])
  await schedule('slow')
  await worker.output(/ rate limited until 2999-01-01T00:00:00\.000Z/)
  const waiting = await schedule('fast')
  worker.kill('SIGTERM')
  assert.is((await worker.exit).code, 0)
  const { stdout } = await run(['bg', 'limits'])
  assert.match(stdout, /^LIMIT +OF +SLOTS +IN USE +RATE +BEGUN +WAITING +HELD UNTIL/)
  assert.match(stdout, /^Sync +task +0 +1\/h +1 +2$/m)
  assert.match(stdout, /^Sync +task, per key +3 +0 +10\/30s +[01] +2 +2999-01-01T00:00:00\.000Z$/m, stdout)
  const [, sync] = JSON.parse((await run(['bg', 'limits', '--json'])).stdout).filter(
    ({ name }: { name: string }) => name === 'Sync'
  )
  assert.is(sync.heldUntil, '2999-01-01T00:00:00.000Z')
  const status = await run(['bg', 'status'])
  assert.equal([status.code, status.stderr], [0, ''])
  assert.match(status.stdout, /^limit +slots +in use +rate +waiting$/m)
  assert.match(status.stdout, /^Sync +0 +1\/h +2$/m)
  assert.match(status.stdout, /^Sync per key +3 +0 +10\/30s +2$/m)
  const why = (await run(['bg', 'why', waiting])).stdout.replace(/\s+/g, ' ')
  assert.match(why, / its rate is 1\/h, and 1 job has begun\. The next can at /)
  await run(['bg', 'limits', 'reset', '--task', 'Sync', '--per-key'])
  assert.not.match((await run(['bg', 'limits'])).stdout, '2999')
  await sql`delete from graphile_worker._private_jobs`
  await sql`delete from kretes.starts`
})

test('print JSON', async () => {
  const list = JSON.parse((await run(['bg', 'limits', '--json'])).stdout)
  assert.equal(
    list.map(({ kind, name }: { kind: string; name: string }) => [kind, name]),
    [
      ['shared', HOSTILE],
      ['shared', 'stripe'],
      ['task', 'Both'],
      ['task', 'Both'],
      ['task', 'Charge'],
      ['task', 'Sync'],
      ['task', 'Sync']
    ]
  )
  const set = await run(['bg', 'limits', 'set', '--limit', HOSTILE, '--concurrency', '4', '--json'])
  const { setAt, ...rest } = JSON.parse(set.stdout)
  const counts = { used: 0, keys: 0, begun: null, waiting: 0, oldestMs: null }
  const declared = { declaredConcurrency: 1, declaredRate: null, rate: null, heldUntil: null }
  assert.equal(rest, { kind: 'shared', name: HOSTILE, perKey: false, concurrency: 4, ...declared, ...counts })
  assert.match(setAt, /^20\d\d-\d\d-\d\dT.+Z$/)
  assert.equal(JSON.parse((await run(['bg', 'limits', 'list', '--json'])).stdout)[0], { ...rest, setAt })
  const reset = await run(['bg', 'limits', 'reset', '--limit', HOSTILE, '--json'])
  assert.equal(JSON.parse(reset.stdout), { ...rest, concurrency: 1, setAt: null })
})

test('obey no characters of a name', async () => {
  for (const words of [['set', '--concurrency', '4'], ['reset']]) {
    const { code, stdout, stderr } = await run(['bg', 'limits', ...words, '--limit', HOSTILE])
    assert.is(code, 0, stderr)
    assert.match(stdout, String.raw`it is \u001b[31m"x"; drop`)
    assert.not.match(stdout + stderr, '\u001b')
  }
})

for (const [args, code, message] of [
  [['set', '--limit', 'stripe'], 2, 'Cannot set a limit: say to what: --concurrency <number> or --rate <rate>'],
  [['set', '--rate', '5/s'], 2, 'Cannot set a limit: say which: --task <name>, --limit <name> or --queue <name>'],
  [['set', '--limit', 'stripe', '--rate', '5'], 2, `rate is "5", not a rate such as '100/min' or '10/30s'`],
  [['set', '--limit', 'stripe', '--rate', '5/month'], 2, 'rate is "5/month", not a rate such as'],
  [['set', '--limit', 'stripe', '--rate', '0/s'], 2, 'rate is for 0 jobs, not for 1 to 1,000,000'],
  [['set', '--limit', 'stripe', '--rate', '5/400d'], 2, 'the period of rate is 400d, not 1 second to 366 days'],
  [['set', '--limit', 'stripe', '--rate', ''], 2, 'Cannot read --rate: it is empty'],
  [['set', '--limit', 'stripe', '--rate', '5/s', '--concurrency', '0'], 2, 'Cannot read --concurrency'],
  [['set', '--limit', 'stripe', '--rate', 'x\u001b[31m', '--concurrency', '1'], 2, 'not a rate such as'],
  [['reset', '--limit', 'stripe', '--rate', '5/s'], 2, 'Cannot run'],
  [['set', '--concurrency', '1'], 2, 'Cannot set a limit: say which: --task <name>, --limit <name> or --queue <name>'],
  [['reset'], 2, 'Cannot reset a limit: say which: --task <name>, --limit <name> or --queue <name>'],
  [
    ['set', '--task', 'Both', '--limit', 'stripe', '--concurrency', '1'],
    2,
    'Cannot set a limit: give only one: --task <name>, --limit <name> or --queue <name>'
  ],
  [['reset', '--limit', 'stripe', '--per-key'], 2, 'Cannot reset a limit: --per-key is only for the limits of a task'],
  [['set', '--limit', 'stripe', '--concurrency', '0'], 2, 'Cannot read --concurrency'],
  [['set', '--limit', 'stripe', '--concurrency', '1.5'], 2, 'Cannot read --concurrency'],
  [['set', '--limit', 'stripe', '--concurrency', '1000001'], 2, 'Cannot read --concurrency'],
  [['set', '--limit', 'stripe', '--concurrency', 'many'], 2, 'Cannot read --concurrency'],
  [['set', '--limit', '', '--concurrency', '1'], 2, 'Cannot read --limit: it is empty'],
  [['list', 'x'], 2, 'Cannot run'],
  [['lsit'], 2, 'Cannot run'],
  [['reset', '--limits', 'x'], 2, 'Cannot run'],
  [
    ['reset', '--limit', 'strip'],
    1,
    'Cannot reset the limit of strip: no worker has registered such a limit. Did you mean stripe?'
  ],
  [
    ['set', '--task', 'Charg', '--concurrency', '1'],
    1,
    'Cannot set the limit of the task Charg: no worker has registered such a limit. Did you mean Charge?'
  ],
  [
    ['set', '--task', 'Both', '--concurrency', '1'],
    1,
    'Cannot set the limit of the task Both: it has two, one for each key and one for all jobs. Say which one with perKey'
  ]
] as const) {
  test(`refuse ${JSON.stringify(args)} and change nothing`, async () => {
    const { code: actual, stdout, stderr } = await run(['bg', 'limits', ...args])
    assert.equal([actual, stdout], [code, ''], stderr)
    assert.ok(stderr.includes(message), stderr)
    assert.not.match(stderr, '\u001b')
    assert.is((await sql`select from kretes.declared_limits where set_at is not null`).length, 0)
  })
}
