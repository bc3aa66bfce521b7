import { existsSync } from 'node:fs'
import { mkdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { drizzle } from 'drizzle-orm/postgres-js'
import { migrate } from 'drizzle-orm/postgres-js/migrator'
import postgres from 'postgres'
import { stopEmbedded } from '../../src/database/embedded.ts'
import { onceDone } from '../helpers/cleanup.ts'
import { start as startProcess } from '../helpers/process.ts'
import { assert, suite } from '../helpers/suite.ts'
import { until } from '../helpers/until.ts'
import { createProgram, NOBODY, type Program, TASKS } from './program.ts'

const test = suite('the command line with a database of its own')

async function createEmbedded(): Promise<Program> {
  const program = await createProgram(TASKS)
  onceDone(() => stopEmbedded(program.directory))
  return program
}

const isRunning = ({ directory }: Program): boolean =>
  existsSync(join(directory, '.kretes/postgres/data/postmaster.pid'))

const program = await createEmbedded()
const { run, start } = program

test('two first starts at once share one new database', async () => {
  const workers = [start(['bg']), start(['bg'])]
  await Promise.all(workers.map(worker => worker.output(/Ready for jobs \(Ctrl-C to stop\)/)))
  const text = workers.map(worker => worker.text).join()
  // Both may begin to create one, but only the first to finish publishes it.
  assert.match(text, 'Creating a PostgreSQL 18 database in .kretes (first start only)')
  const labels = text.match(/database {5}kretes@127\.0\.0\.1:\d+\/kretes \(embedded, in \.kretes\/\)/g) ?? []
  assert.equal([labels.length, new Set(labels).size], [2, 1])
  for (const worker of workers) worker.kill('SIGINT')
  for (const worker of workers) assert.is((await worker.exit).code, 0)
})

test('schedule finds the server that a worker has left, or starts one', async () => {
  const found = await run(['bg', 'schedule', 'Greet', '{ "name": "Ada" }', '--json'])
  assert.is(JSON.parse(found.stdout).task, 'Greet')
  assert.equal([found.code, found.stderr], [0, ''])
  assert.is((await run(['bg', 'db', 'stop'])).stdout, 'Stopped\n')
  const started = await run(['bg', 'schedule', 'Greet', '{ "name": "Bob" }'])
  assert.equal([started.code, started.stderr], [0, 'Starting PostgreSQL\n'])
})

test('a job from a second terminal runs, and db url is for psql', async () => {
  const worker = start(['bg'])
  await worker.output(/✓ Greet 1/)
  const { stdout: url, code } = await run(['bg', 'db', 'url'])
  assert.match(url, /^postgres:\/\/kretes:[^@]+@127\.0\.0\.1:\d+\/kretes\n$/)
  assert.is(code, 0)
  const sql = postgres(url.trim(), { max: 1 })
  const [row] = await sql`select current_user::text as name`
  await sql.end()
  assert.is(row?.name, 'kretes')
  const password = new URL(url).password
  const { stderr } = await run(['bg', 'schedule', 'Greet', '{ "name": "Grace" }'])
  assert.is(stderr, '')
  await worker.output(/Hello, Grace/)
  worker.killGroup('SIGINT')
  assert.is((await worker.exit).code, 0)
  assert.not.match(worker.text, password)
})

test('a server that a killed worker left is adopted, and the remaining jobs run', async () => {
  await run(['bg', 'schedule', 'Wait', '{ "file": "never" }', '--queue', 'first'])
  const worker = start(['bg', '--concurrency', '1'])
  await worker.output(/Wait \d+ {2}started/)
  worker.kill('SIGKILL')
  await worker.exit
  assert.is(isRunning(program), true)
  const next = start(['bg'])
  await next.output(/Ready for jobs/)
  assert.not.match(next.text, 'Starting PostgreSQL')
  await run(['bg', 'schedule', 'Greet', '{ "name": "Joan" }'])
  await next.output(/Hello, Joan/)
  next.kill('SIGTERM')
  const { code, stderr } = await next.exit
  assert.equal([code, stderr], [0, ''])
})

test('db stop stops a server left running, and says if there was none', async () => {
  const worker = start(['bg'])
  await worker.output(/Ready for jobs/)
  worker.kill('SIGKILL')
  await worker.exit
  const first = await run(['bg', 'db', 'stop'])
  const second = await run(['bg', 'db', 'stop'])
  assert.equal([first.stdout, first.code, second.stdout, second.code], ['Stopped\n', 0, 'It was not running\n', 0])
})

test('db url starts the server, which waits for the one who asked, and stops a while after the last', async () => {
  const { code, stdout, stderr } = await run(['bg', 'db', 'url'])
  assert.match(stdout, /^postgres:.*\n$/)
  assert.equal([code, stderr], [0, 'Starting PostgreSQL\n'])
  const sql = postgres(stdout.trim(), { max: 1 })
  assert.is((await sql`select 1 as one`)[0]?.one, 1)
  await sql.end()
  await until(() => !isRunning(program))
})

test('db start leaves a server running until db stop, and db status tells of it', async () => {
  const other = await createEmbedded()
  const before = await other.run(['bg', 'db', 'status'])
  assert.match(before.stderr, 'Cannot show the database: there is no database in .kretes/ yet.')
  assert.is(before.code, 1)
  const { stdout: started, code } = await other.run(['bg', 'db', 'start'])
  assert.match(started, /^Running at kretes@127\.0\.0\.1:\d+\/kretes, until: kretes background db stop\n$/)
  assert.is(code, 0)
  const again = await other.run(['bg', 'db', 'start'])
  assert.equal([again.stdout, again.code], [started.replace('Running', 'Running already'), 0])
  const status = await other.run(['bg', 'db', 'status'])
  assert.equal([status.stdout, status.code], [started, 0])
  await other.run(['bg', 'db', 'stop'])
  const stopped = await other.run(['bg', 'db', 'status'])
  assert.equal([stopped.stdout, stopped.code], ['Not running. Start it: kretes background db start\n', 1])
  await other.run(['bg', 'db', 'url'])
  const passing = await other.run(['bg', 'db', 'status'])
  assert.match(passing.stdout, /^Running at \S+, until it has not been used for half a minute\n$/)
})

test('db start refuses where another database is named, and db status names it', async () => {
  const other = await createEmbedded()
  const { code, stderr } = await other.run(['bg', 'db', 'start'], { DATABASE_URL: NOBODY })
  assert.match(
    stderr,
    /^Cannot start a database: DATABASE_URL names someone@127\.0\.0\.1:1\/nothing, and that is the one/
  )
  assert.is(code, 1)
  const { stdout } = await other.run(['bg', 'db', 'status', '--database-url', NOBODY])
  assert.match(stdout, 'someone@127.0.0.1:1/nothing, named by --database-url.')
  assert.not(existsSync(join(other.directory, '.kretes')))
})

test('tasks find the database in DATABASE_URL when they are loaded, and it outlives the worker for an application', async () => {
  const other = await createProgram({
    'tasks/Tell.ts': `
      import { writeFile } from 'node:fs/promises'
      const url = process.env.DATABASE_URL
      export default async function Tell() { await writeFile('told', url) }`
  })
  onceDone(() => stopEmbedded(other.directory))
  const worker = other.start(['bg'], { DATABASE_URL: '' })
  await worker.output(/Ready for jobs/)
  assert.is((await other.run(['bg', 'schedule', 'Tell', '--wait'])).code, 0)
  const url = await readFile(join(other.directory, 'told'), 'utf8')
  assert.is(`${url}\n`, (await other.run(['bg', 'db', 'url'])).stdout)
  const sql = postgres(url, { max: 1, onnotice: () => {} })
  await sql`create table users (id int)`
  assert.is((await sql`select current_schema() as name`)[0]?.name, 'public')
  worker.kill('SIGTERM')
  assert.is((await worker.exit).code, 0)
  assert.is((await sql`select count(*)::int from public.users`)[0]?.count, 0)
  await sql.end()
})

test('the migrations of drizzle create their tables beside ours, whatever these are called', async () => {
  const other = await createEmbedded()
  await other.run(['bg', 'migrate'])
  const folder = join(other.directory, 'drizzle')
  await mkdir(join(folder, 'meta'), { recursive: true })
  const entries = [{ idx: 0, version: '7', when: 1, tag: '0000_first', breakpoints: true }]
  await writeFile(join(folder, 'meta/_journal.json'), JSON.stringify({ version: '7', dialect: 'postgresql', entries }))
  const tables = ['jobs', 'tasks', 'workers', 'migrations'].map(
    name => `CREATE TABLE "${name}" ("id" serial PRIMARY KEY);`
  )
  await writeFile(join(folder, '0000_first.sql'), tables.join('--> statement-breakpoint\n'))
  const sql = postgres((await other.run(['bg', 'db', 'url'])).stdout.trim(), { max: 1, onnotice: () => {} })
  await migrate(drizzle(sql), { migrationsFolder: folder })
  const found = await sql`select tablename from pg_tables where schemaname = 'public' order by tablename`
  assert.equal(
    found.map(({ tablename }) => tablename),
    ['jobs', 'migrations', 'tasks', 'workers']
  )
  await sql.end()
  assert.equal((await other.run(['bg', 'doctor'])).stdout, 'Healthy: nothing to do\n')
})

test('PGSSLMODE, which is meant for other servers, keeps no worker and no application from it', async () => {
  const other = await createProgram(TASKS)
  onceDone(() => stopEmbedded(other.directory))
  const env = { PGSSLMODE: 'require' }
  const worker = other.start(['bg'], env)
  await worker.output(/Ready for jobs/)
  const { code, stderr } = await other.run(['bg', 'schedule', 'Greet', '{ "name": "Ada" }'], env)
  assert.is(code, 0, stderr)
  await worker.output(/Hello, Ada/)
  worker.kill('SIGTERM')
  assert.is((await worker.exit).code, 0)
})

const LOOKS = [
  ['jobs'],
  ['runs'],
  ['show', '1'],
  ['logs', '1'],
  ['status'],
  ['status', '--watch'],
  ['why', '1'],
  ['doctor'],
  ['prune'],
  ['prune', '--dry-run'],
  ['cancel', '1'],
  ['retry', '--all', '--yes'],
  ['delete', '--all', '--dry-run'],
  ['run-now', '--state', 'scheduled'],
  ['reschedule', '1', '--in', '0s'],
  ['db', 'url'],
  ['db', 'status']
]

test('commands that need a database that is there create none', async () => {
  const other = await createEmbedded()
  for (const words of LOOKS) {
    const { code, stdout, stderr } = await other.run(['bg', ...words])
    assert.match(stderr, /^Cannot [\w ]+: there is no database in \.kretes\/ yet\. Start a worker .*\n$/, words.join())
    assert.equal([code, stdout], [1, ''])
  }
  await other.run(['bg', 'tasks'])
  for (const words of [['--help'], ['jobs', '--help'], ['--version']]) await other.run(['bg', ...words])
  assert.is((await other.run(['bg', 'db', 'stop'])).stdout, 'It was not running\n')
  assert.not(existsSync(join(other.directory, '.kretes')))
})

test('a worker without tasks, or with ones that cannot be, creates none either', async () => {
  const other = await createProgram({ 'none/readme.md': '', 'bad/lower.ts': 'export default 1' })
  for (const tasks of ['nowhere', 'none', 'bad']) {
    assert.is((await other.run(['bg', '--tasks', tasks])).code, tasks === 'nowhere' ? 2 : 1)
  }
  assert.not(existsSync(join(other.directory, '.kretes')))
})

test('an application goes on after db stop', async () => {
  const other = await createEmbedded()
  const application = await startApplication(other)
  assert.match(await application.ask('schedule'), /^job/)
  assert.is((await other.run(['bg', 'db', 'stop'])).stdout, 'Stopped\n')
  // It may not have heard yet that its connection is closed.
  const answer = await until(async () => (await application.ask('schedule')).replace('OUTCOME_UNKNOWN', ''))
  assert.is(answer, 'DATABASE_UNAVAILABLE')
  assert.match(await application.ask('schedule'), /^job/)
  assert.is(await application.ask('close'), 'closed')
})

test('an application whose server was replaced meanwhile goes on with the one that is there', async () => {
  const other = await createEmbedded()
  const application = await startApplication(other)
  assert.match(await application.ask('schedule'), /^job/)
  await other.run(['bg', 'db', 'stop'])
  const worker = other.start(['bg'])
  await worker.output(/Ready for jobs/)
  worker.kill('SIGKILL')
  await worker.exit
  assert.is(isRunning(other), true)
  await until(async () => (await application.ask('schedule')).startsWith('job'))
  assert.is(await application.ask('close'), 'closed')
})

/** An application of the project's, which schedules when it is asked to. */
async function startApplication({ directory }: Program): Promise<{ ask(what: string): Promise<string> }> {
  const script = `
    import { createServer } from 'node:http'
    import { Background } from 'kretes'
    const answers = {
      '/schedule': () => Background.schedule({ task: 'Greet' }).then(({ id }) => 'job ' + id, ({ code }) => code),
      '/close': () => Background.close().then(() => 'closed')
    }
    const server = createServer(async ({ url }, response) => response.end(await answers[url]()))
    server.listen(0, '127.0.0.1', () => console.log('port ' + server.address().port))`
  const child = startProcess(process.execPath, ['--input-type=module', '-e', script], { cwd: directory })
  const [, port] = await child.output(/^port (\d+)$/m)
  return { ask: async what => await (await fetch(`http://127.0.0.1:${port}/${what}`)).text() }
}

test('Ctrl-C while the database is being created leaves nothing behind', async () => {
  const other = await createEmbedded()
  const worker = other.start(['bg'])
  await worker.output(/Creating a PostgreSQL/)
  worker.killGroup('SIGINT')
  const { code } = await worker.exit
  assert.ok(code === 130 || code === 0, `exit code ${code}`)
  assert.is(isRunning(other), false)
  const { code: next } = await other.run(['bg', 'migrate', '--log-level', 'warn'])
  assert.is(next, 0)
})
