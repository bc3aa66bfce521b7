import { createServer } from 'node:net'
import { onceDone } from '../helpers/cleanup.ts'
import { createDatabase } from '../helpers/database.ts'
import { assert, suite } from '../helpers/suite.ts'
import { createProgram, NOBODY, TASKS } from './program.ts'

const test = suite('what is around the command line')
const program = await createProgram(TASKS)
const { url } = await createDatabase()
const refused = Object.assign(new URL(url), { username: 'kretes_nobody', password: 'secret' }).href
const missing = Object.assign(new URL(url), { pathname: '/kretes_nothing' }).href

const cases: [what: string, env: Record<string, string>, said: RegExp][] = [
  [
    'a server that is not there',
    { DATABASE_URL: NOBODY },
    /: nothing listens at someone@127\.0\.0\.1:1\/nothing \(ECONNREFUSED\)/
  ],
  [
    'a user that is not let in',
    { DATABASE_URL: refused },
    / kretes_nobody@[\w.:]+\/test_\w+ (refuses the user or the password|does not let this user in)/
  ],
  [
    'a database that is not there',
    { DATABASE_URL: missing },
    /: there is no database .*\/kretes_nothing on that server/
  ],
  [
    'a DATABASE_URL that is no URL',
    { DATABASE_URL: 'user:secret' },
    /^Cannot use DATABASE_URL: its scheme is user, not postgres/
  ],
  [
    'a DATABASE_URL without a scheme',
    { DATABASE_URL: '//secret@b' },
    /^Cannot use DATABASE_URL: it is not a URL such as /
  ],
  [
    'no database in production',
    { NODE_ENV: 'production' },
    /^Cannot choose a database: NODE_ENV is production and none is named\. Set DATABASE_URL/
  ]
]

for (const [what, env, said] of cases) {
  test(`${what} is told in a line, with exit code 1`, async () => {
    for (const args of [['bg'], ['bg', 'schedule', 'Greet'], ['bg', 'migrate']]) {
      const { code, stdout, stderr } = await program.run(args, env)
      assert.match(stderr, said)
      assert.is(stderr.trimEnd().split('\n').length, 1)
      assert.not.match(stderr + stdout, 'secret')
      assert.equal([code, stdout], [1, ''])
    }
  })
}

test('a % in a password that is written as it is is told with its remedy, and not as a fault of ours', async () => {
  const url = 'postgres://someone:secret%word@127.0.0.1:1/nothing'
  for (const args of [['bg'], ['bg', 'schedule', 'Greet'], ['bg', 'status'], ['bg', 'db', 'url']]) {
    const { code, stderr } = await program.run([...args, '--database-url', url])
    const reason = 'a % in its password is not followed by two hexadecimal digits; write it as %25'
    assert.is(stderr, `Cannot use --database-url: ${reason}\n`)
    assert.is(code, 2)
  }
  const { code, stderr } = await program.run(['bg'], { DATABASE_URL: url })
  assert.match(stderr, /^Cannot use DATABASE_URL: a % in its password is not followed by .*\n$/)
  assert.is(code, 1)
})

test('a stack comes with --log-level debug, and no password with it', async () => {
  const { code, stderr } = await program.run(['bg', '--log-level=debug'], { DATABASE_URL: NOBODY })
  assert.match(stderr, /^ +at /m)
  assert.match(stderr, 'ECONNREFUSED')
  assert.not.match(stderr, 'secret')
  assert.is(code, 1)
})

test('a missing tasks directory is explained with a first task', async () => {
  const { code, stderr } = await program.run(['bg', '--tasks', 'jobs'], { DATABASE_URL: NOBODY })
  assert.match(stderr, /^Cannot load the tasks in jobs: the directory does not exist\n/)
  assert.match(stderr, 'export default SayHello')
  assert.is(code, 2)
})

test('everything that is wrong with the task files is said at once', async () => {
  const { run } = await createProgram({
    'tasks/Answer.ts': 'export default 42',
    'tasks/Broken.ts': 'export default function Broken( {',
    'tasks/lower.ts': 'export default function lower() {}'
  })
  const { code, stderr } = await run(['bg'], { DATABASE_URL: NOBODY })
  assert.match(
    stderr,
    /^Cannot load the tasks in tasks: 3 problems\n {2}tasks\/Answer\.ts: .*\n {2}tasks\/Broken\.ts: .*\n {2}tasks\/lower\.ts: .*\n$/
  )
  assert.is(code, 1)
})

test('a task file that never comes to its end is told like all that is wrong, and the database has no part in it', async () => {
  const { run } = await createProgram({
    'tasks/Answer.ts': 'export default 42',
    'tasks/Never.js': 'await new Promise(() => {})\nexport default function Never() {}'
  })
  const { code, stderr } = await run(['bg'], { DATABASE_URL: NOBODY })
  assert.is(
    stderr,
    `Cannot load the tasks in tasks: 2 problems
  tasks/Answer.ts: its default export is a number, not a function
  tasks/Never.js: its top-level await does not end\n`
  )
  assert.is(code, 1)
})

test('tasks lists the task files by name', async () => {
  const { code, stdout } = await program.run(['bg', 'tasks'])
  assert.equal(stdout.split('\n'), [
    'Escape     tasks/Escape.ts',
    'Fail       tasks/Fail.ts',
    'Greet      tasks/Greet.ts',
    'SendEmail  tasks/mail/SendEmail.ts',
    'Wait       tasks/Wait.ts',
    ''
  ])
  assert.is(code, 0)
})

test('tasks --json lists them for machines, and tells of names that are none', async () => {
  const { run } = await createProgram({ 'tasks/Fine.ts': '', 'tasks/lower.ts': '' })
  const { code, stdout, stderr } = await run(['bg', 'tasks', '--json'])
  const { tasks, problems } = JSON.parse(stdout)
  assert.equal(tasks, [{ name: 'Fine', path: 'tasks/Fine.ts' }])
  assert.match(problems.join(), /^tasks\/lower\.ts: its name "lower" is not in CamelCase/)
  assert.equal([code, stderr], [1, ''])
})

test('db url shows the URL that the environment names, and with PG* that there is none', async () => {
  const { stdout } = await program.run(['bg', 'db', 'url'], { DATABASE_URL: NOBODY })
  assert.is(stdout, `${NOBODY}\n`)
  const { code, stderr } = await program.run(['bg', 'db', 'url'], { PGHOST: '127.0.0.1' })
  assert.match(stderr, /^Cannot show a URL: the PG\* variables name the database/)
  assert.is(code, 1)
})

test('a database that does not answer is named after a moment, and Ctrl-C ends the wait', async () => {
  // Like a host behind a firewall: it takes the connection and says nothing.
  const silent = createServer(socket => socket.on('error', () => {})).listen(0, '127.0.0.1')
  onceDone(() => silent.close())
  await new Promise(resolve => silent.once('listening', resolve))
  const { port } = silent.address() as { port: number }
  const env = { DATABASE_URL: `postgres://someone:secret@127.0.0.1:${port}/app` }
  for (const args of [['bg'], ['bg', 'schedule', 'Greet'], ['bg', 'migrate']]) {
    const child = program.start(args, env)
    await child.output(/Waiting for the database someone@127\.0\.0\.1:\d+\/app\n/)
    child.kill('SIGINT')
    const { code, stderr } = await child.exit
    assert.match(stderr, /Interrupted\n$/)
    assert.is(code, 130)
  }
})
