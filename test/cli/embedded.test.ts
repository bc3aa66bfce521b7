import { existsSync } from 'node:fs'
import { join } from 'node:path'
import postgres from 'postgres'
import { stopEmbedded } from '../../src/database/embedded.ts'
import { onceDone } from '../helpers/cleanup.ts'
import { start as startProcess } from '../helpers/process.ts'
import { assert, suite } from '../helpers/suite.ts'
import { until } from '../helpers/until.ts'
import { createProgram, type Program, TASKS } from './program.ts'

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
  assert.is(text.split('Creating a PostgreSQL 18 database in .kretes (first start only)').length, 2)
  const labels = text.match(/database {5}kretes@127\.0\.0\.1:\d+\/kretes \(embedded, in \.kretes\/\)/g) ?? []
  assert.equal([labels.length, new Set(labels).size], [2, 1])
  for (const worker of workers) worker.kill('SIGINT')
  for (const worker of workers) assert.is((await worker.exit).code, 0)
  assert.is(isRunning(program), false)
})

test('schedule with no server running starts one, schedules, and stops it', async () => {
  const { code, stdout, stderr } = await run(['bg', 'schedule', 'Greet', '{ "name": "Ada" }', '--json'])
  assert.is(JSON.parse(stdout).task, 'Greet')
  assert.is(stderr, 'Starting PostgreSQL\n')
  assert.is(code, 0)
  assert.is(isRunning(program), false)
})

test('a job from a second terminal runs; db url is for psql; Ctrl-C leaves no server behind', async () => {
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
  assert.is(isRunning(program), false)
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
  assert.is(isRunning(program), false)
})

test('db stop stops a server left running, and says if there was none', async () => {
  const worker = start(['bg'])
  await worker.output(/Ready for jobs/)
  worker.kill('SIGKILL')
  await worker.exit
  const first = await run(['bg', 'db', 'stop'])
  const second = await run(['bg', 'db', 'stop'])
  assert.equal([first.stdout, first.code, second.stdout, second.code], ['Stopped\n', 0, 'It was not running\n', 0])
  const { code, stdout, stderr } = await run(['bg', 'db', 'url'])
  assert.is(stderr, "Cannot show the URL: the project's own database is not running. Start the worker, and it runs\n")
  assert.equal([code, stdout], [1, ''])
})

test('an application goes on after db stop, and in the end stops what it started', async () => {
  const other = await createEmbedded()
  const application = await startApplication(other)
  assert.match(await application.ask('schedule'), /^job/)
  assert.is((await other.run(['bg', 'db', 'stop'])).stdout, 'Stopped\n')
  // It may not have heard yet that its connection is closed.
  const answer = await until(async () => (await application.ask('schedule')).replace('OUTCOME_UNKNOWN', ''))
  assert.is(answer, 'DATABASE_UNAVAILABLE')
  assert.match(await application.ask('schedule'), /^job/)
  assert.is(await application.ask('close'), 'closed')
  assert.is(isRunning(other), false)
})

test('an application whose server was replaced meanwhile stops the one that is there', async () => {
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
  assert.is(isRunning(other), false)
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
