import { hostname, userInfo } from 'node:os'
import { createDatabase } from '../../helpers/database.ts'
import { assert, suite } from '../../helpers/suite.ts'
import { createProgram, TASKS } from '../program.ts'

const test = suite('kretes background pause, resume and pauses')
const { sql, url } = await createDatabase()
const { run } = await createProgram(TASKS, { DATABASE_URL: url })
await run(['bg', 'schedule', 'Greet', '--queue', 'email'])

test.before.each(() => sql`delete from kretes.paused`)

const HOME = `${userInfo().username}@${hostname()}`
const HOSTILE = `it's "x" \u001b[31m; drop`

test('pause a task, a queue or everything, and say since when, by whom and why', async () => {
  const queue = await run(['bg', 'pause', '--queue', 'email', '--reason', 'The mail server is down'])
  assert.equal([queue.code, queue.stderr], [0, ''])
  const lines = queue.stdout.split('\n')
  assert.equal(
    [lines[0], lines[2], lines[3], lines[4]],
    ['Paused the queue email', `  by      ${HOME}`, '  reason  The mail server is down', '']
  )
  assert.match(lines[1]!, /^ {2}since {3}20\S+( \S+)*$/)
  const task = await run(['bg', 'pause', '--task', 'Greet', '--by', 'Ada'])
  assert.equal([task.code, task.stderr], [0, ''])
  assert.match(task.stdout, /^Paused the task Greet\n {2}since {2}.+\n {2}by {5}Ada\n$/)
  assert.match((await run(['bg', 'pause', '--all'])).stdout, /^Paused everything\n/)
  const list = await run(['bg', 'pauses'])
  assert.equal([list.code, list.stderr], [0, ''])
  const [title, ...rows] = list.stdout.trimEnd().split('\n')
  assert.match(title!, /^PAUSED +NAME +KEY +SINCE +BY +REASON$/)
  assert.match(rows[0]!, /^queue +email +20.+ The mail server is down$/)
  assert.match(rows[1]!, /^task +Greet +20.+ Ada$/)
  assert.match(rows[2]!, /^everything +20.+$/)
  const ended = await run(['bg', 'resume', '--queue', 'email'])
  assert.is(ended.code, 0)
  assert.match(
    ended.stdout,
    /^Resumed the queue email\n {2}since {3}.+\n {2}by {6}.+\n {2}reason {2}The mail server is down\n$/
  )
  assert.is(ended.stderr, '2 other pauses stay. See: kretes background pauses\n')
  assert.is(
    (await run(['bg', 'resume', '--task', 'Greet'])).stderr,
    '1 other pause stays. See: kretes background pauses\n'
  )
  assert.is((await run(['bg', 'resume', '--all'])).stderr, '')
  const none = await run(['bg', 'pauses'])
  assert.equal([none.code, none.stdout, none.stderr], [0, '', 'Nothing is paused\n'])
})

test('pause and resume one key of a task or of a limit', async () => {
  for (const [kind, name] of [
    ['task', 'Greet'],
    ['limit', 'smtp']
  ] as const) {
    const target = [`--${kind}`, name, '--key', 'shop 7']
    const paused = await run(['bg', 'pause', ...target, '--json'])
    assert.is(paused.code, 0, paused.stderr)
    const { key, ...rest } = JSON.parse(paused.stdout)
    assert.equal([rest.kind, rest.name, key], [kind, name, 'shop 7'])
    assert.match((await run(['bg', 'pauses'])).stdout, new RegExp(`^${kind} +${name} +shop 7 +20`, 'm'))
    const ended = await run(['bg', 'resume', ...target])
    assert.match(ended.stdout, new RegExp(`^Resumed the key shop 7 of the ${kind} ${name}\n`))
  }
  const alone = await run(['bg', 'pause', '--queue', 'email', '--key', 'x'])
  assert.equal([alone.code, alone.stdout], [2, ''])
  assert.match(alone.stderr, /^Cannot pause: key is only for a task or a limit\n/)
})

test('warn of a name that has never been, and resume nothing without an error', async () => {
  const unknown = await run(['bg', 'pause', '--queue', 'e-mail'])
  assert.is(unknown.code, 0)
  assert.match(unknown.stderr, /^There has never been .*queue.*\. Is the name right\?\n$/)
  const task = await run(['bg', 'pause', '--task', 'Gret'])
  assert.is(task.code, 0)
  assert.match(task.stderr, /^There has never been .+ task\. Is the name right\?\n$/)
  const nothing = await run(['bg', 'resume', '--task', 'Greet'])
  assert.equal([nothing.code, nothing.stdout], [0, 'Nothing to resume: the task Greet is not paused\n'])
  assert.match((await run(['bg', 'resume', '--all'])).stdout, /^Nothing to resume: everything is not paused\n$/)
  assert.match((await run(['bg', 'resume', '--queue', 'x'])).stdout, /^Nothing to resume: the queue x is not paused\n$/)
})

test('print JSON', async () => {
  const { stdout, stderr } = await run(['bg', 'pause', '--queue', HOSTILE, '--reason', HOSTILE, '--json'])
  const pause = JSON.parse(stdout)
  assert.equal(
    [pause.kind, pause.name, pause.reason, pause.by, pause.isKnown],
    ['queue', HOSTILE, HOSTILE, HOME, false]
  )
  assert.not.match(stderr, '\u001b')
  assert.equal(JSON.parse((await run(['bg', 'pauses', '--json'])).stdout), [pause])
  await run(['bg', 'pause', '--all'])
  const resumed = await run(['bg', 'resume', '--queue', HOSTILE, '--json'])
  assert.equal([JSON.parse(resumed.stdout), resumed.stderr], [pause, ''])
  assert.is((await run(['bg', 'resume', '--queue', HOSTILE, '--json'])).stdout, 'null\n')
})

test('show names and reasons as they are, on one line, and obey none of their characters', async () => {
  const lines = `${HOSTILE}\nPaused everything`
  const all = [
    await run(['bg', 'pause', '--queue', lines, '--reason', lines, '--by', lines]),
    await run(['bg', 'pauses']),
    await run(['bg', 'status']),
    await run(['bg', 'why', '1']),
    await run(['bg', '--once', '--log-level', 'warn']),
    await run(['bg', 'resume', '--queue', lines]),
    await run(['bg', 'resume', '--queue', lines])
  ]
  for (const { code, stdout, stderr } of all) {
    assert.is(code, 0, stderr)
    assert.not.match(stdout + stderr, '\u001b')
    assert.not.match(stdout, /^Paused everything/m, stdout)
  }
  assert.match(all[1]!.stdout, String.raw`it's "x" \u001b[31m; drop`)
  assert.match(all[4]!.stdout, /The queue it's "x" /)
})

test('are seen by a worker that starts, by why and by the doctor', async () => {
  const { id } = JSON.parse((await run(['bg', 'schedule', 'Greet', '--queue', 'email', '--json'])).stdout)
  await run(['bg', 'pause', '--queue', 'email', '--by', 'Ada', '--reason', 'Too much mail'])
  await sql`update kretes.paused set paused_at = now() - interval '9 days'`
  const worker = await run(['bg', '--once'])
  assert.is(worker.code, 0)
  assert.match(
    worker.stdout,
    /! The queue email is paused since .+, by Ada: Too much mail\. Resume it: kretes background resume --queue email\n/
  )
  assert.not.match(worker.stdout, `Greet ${id}`)
  assert.match((await run(['bg', 'why', id])).stdout, /Its queue email is paused since /)
  const doctor = await run(['bg', 'doctor'])
  assert.match(doctor.stdout, /The queue email has been paused for 9 days, by Ada: Too much mail/)
  assert.match((await run(['bg', 'status'])).stdout, /^paused: queue email, .+ by Ada: Too much mail$/m)
  await run(['bg', 'resume', '--queue', 'email'])
  assert.match((await run(['bg', '--once'])).stdout, `✓ Greet ${id} `)
})

const NONE = 'say what: --task <name>, --queue <name>, --limit <name> or --all'
const SEVERAL = 'give only one: --task <name>, --queue <name>, --limit <name> or --all'
for (const [args, message] of [
  [['pause'], `Cannot pause: ${NONE}`],
  [['resume'], `Cannot resume: ${NONE}`],
  [['pause', '--all', '--task', 'Greet'], `Cannot pause: ${SEVERAL}`],
  [['pause', '--queue', 'a', '--task', 'Greet'], `Cannot pause: ${SEVERAL}`],
  [['resume', '--queue', 'a', '--all'], `Cannot resume: ${SEVERAL}`],
  [['pause', '--queue', ''], 'Cannot read --queue: it is empty'],
  [['pause', '--queue', 'q'.repeat(129)], 'Cannot name a queue'],
  [['resume', '--queue', ''], 'Cannot read --queue: it is empty'],
  [['resume', '--all', '--reason', 'x'], 'Cannot run'],
  [['pause', '--queues', 'a'], 'Cannot run'],
  [['pauses', 'x'], 'Cannot run'],
  [['pause', 'email'], 'Cannot run']
] as const) {
  test(`refuse ${JSON.stringify(args).slice(0, 60)} and change nothing`, async () => {
    const { code, stdout, stderr } = await run(['bg', ...args])
    assert.equal([code, stdout], [2, ''], stderr)
    assert.ok(stderr.startsWith(message), stderr)
    assert.is((await sql`select from kretes.paused`).length, 0)
  })
}
