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
  'tasks/Hostile.ts': `
    import { defineTask, Limit } from 'kretes'
    const limit = Limit.for(${JSON.stringify(HOSTILE)}, { concurrency: 1 })
    export default defineTask({ name: 'Hostile', limit, run: async () => {} })`
}
const { sql, url } = await createDatabase()
const { run } = await createProgram(FILES, { DATABASE_URL: url })
const none = await run(['bg', 'limits'])
assert.is((await run(['bg', '--once'])).code, 0)

test.before.each(() => sql`update kretes.declared_limits set set_concurrency = null, set_at = null`)

test('list nothing before a worker has registered a limit', () => {
  assert.equal([none.code, none.stdout, none.stderr], [0, '', 'No limits: no worker has registered a task with one\n'])
})

test('list the limits, shared ones first, and what was changed', async () => {
  await run(['bg', 'limits', 'set', '--limit', 'stripe', '--concurrency', '5'])
  for (const words of [['limits'], ['limits', 'list']]) {
    const { code, stdout, stderr } = await run(['bg', ...words])
    assert.equal([code, stderr], [0, ''])
    const [title, ...rows] = stdout.trimEnd().split('\n')
    assert.match(title!, /^LIMIT +OF +SLOTS +IN USE +WAITING +CHANGED$/)
    assert.is(rows.length, 5)
    const rowOf = (pattern: RegExp): boolean => rows.some(row => pattern.test(row))
    assert.ok(rowOf(/^stripe +several tasks +5 +0 +0 +20.+, from 20$/), stdout)
    assert.ok(rowOf(/^Both +task +7 +0 +0$/), stdout)
    assert.ok(rowOf(/^Both +task, per key +3 +0 +0$/), stdout)
    assert.ok(rowOf(/^Charge +task, per key +2 +0 +0$/), stdout)
    assert.ok(rowOf(/^it is .+ several tasks +1 +0 +0$/), stdout)
    assert.not.match(stdout, '\u001b')
  }
})

test('set and reset a limit, and say what the code declares', async () => {
  for (const [target, label, declared] of [
    [['--limit', 'stripe'], 'the limit stripe', 20],
    [['--task', 'Charge'], 'the limit of Charge for each key', 2],
    [['--task', 'Both', '--per-key'], 'the limit of Both for each key', 3]
  ] as const) {
    const set = await run(['bg', 'limits', 'set', ...target, '--concurrency', '4'])
    assert.equal([set.code, set.stderr], [0, ''])
    assert.is(set.stdout, `Set ${label} to 4. The code declares ${declared}\n`)
    const reset = await run(['bg', 'limits', 'reset', ...target])
    assert.equal([reset.code, reset.stdout, reset.stderr], [0, `Reset ${label} to ${declared}\n`, ''])
  }
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
      ['task', 'Charge']
    ]
  )
  const set = await run(['bg', 'limits', 'set', '--limit', HOSTILE, '--concurrency', '4', '--json'])
  const { setAt, ...rest } = JSON.parse(set.stdout)
  const counts = { used: 0, keys: 0, waiting: 0, oldestMs: null }
  assert.equal(rest, { kind: 'shared', name: HOSTILE, perKey: false, concurrency: 4, declared: 1, ...counts })
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
  [['set', '--limit', 'stripe'], 2, 'Cannot set a limit: say to what: --concurrency <number>'],
  [['set', '--concurrency', '1'], 2, 'Cannot set a limit: say which: --task <name> or --limit <name>'],
  [['reset'], 2, 'Cannot reset a limit: say which: --task <name> or --limit <name>'],
  [
    ['set', '--task', 'Both', '--limit', 'stripe', '--concurrency', '1'],
    2,
    'Cannot set a limit: give only one: --task <name> or --limit <name>'
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
    assert.is((await sql`select from kretes.declared_limits where set_concurrency is not null`).length, 0)
  })
}
