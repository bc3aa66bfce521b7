import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createDatabase, type DatabaseOptions } from '../helpers/database.ts'
import { assert, suite } from '../helpers/suite.ts'
import { createProgram, type Program, TASKS } from './program.ts'

const test = suite('kretes background')
const program = await createProgram(TASKS)

/** The program on a database of its own. */
async function onDatabase(options?: DatabaseOptions): Promise<Program & { label: string }> {
  const { url } = await createDatabase(options)
  const { username, host, pathname } = new URL(url)
  const withUrl = (env: Record<string, string> = {}): Record<string, string> => ({ DATABASE_URL: url, ...env })
  return {
    directory: program.directory,
    start: (args, env) => program.start(args, withUrl(env)),
    run: (args, env) => program.run(args, withUrl(env)),
    shell: (line, env) => program.shell(line, withUrl(env)),
    label: `${username}@${host}${pathname}`
  }
}

const TIME = String.raw`\d\d:\d\d:\d\d\.\d{3}`

test('schedule prints the job, and the worker shows its screen and a line for each turn', async () => {
  const { run, label } = await onDatabase()
  const scheduled = await run(['background', 'schedule', 'Greet', '{ "name": "Ada" }', '--queue', '007'])
  assert.match(
    scheduled.stdout,
    /^Scheduled\n {2}job {6}1\n {2}task {5}Greet\n {2}queue {4}007\n {2}runs at {2}20\S+Z\n$/
  )
  assert.equal([scheduled.code, scheduled.stderr], [0, ''])

  const { code, stdout, stderr } = await run(['background', '--once', '--concurrency', '1e1'])
  const [, screen = '', log = ''] = /^(.*Running what is due\n\n)(.*)$/s.exec(stdout) ?? []
  assert.match(
    screen,
    /^\n {2}kretes \d\S+\n\n {2}database {5}(\S+)\n {2}tasks {8}Escape, Fail, Greet, SendEmail, Wait\n {2}concurrency {2}10\n\n/
  )
  assert.match(screen, label)
  assert.match(
    log,
    new RegExp(
      `^${TIME} › Greet 1 {2}started\n${TIME} · Greet 1 {2}Hello, Ada {2}name=Ada\n${TIME} ✓ Greet 1 {2}[\\d.]+ m?s\n$`
    )
  )
  assert.equal([code, stderr], [0, ''])
})

test('a failure shows the stack of the task alone, its cause, and which attempt it was', async () => {
  const { run } = await onDatabase()
  await run(['bg', 'schedule', 'Fail'])
  const { code, stdout } = await run(['bg', '--once', '--log-level', 'error'])
  const lines = stdout.trimEnd().split('\n')
  assert.match(
    lines[0] ?? '',
    new RegExp(`^${TIME} ✗ Fail 1 {2}failed after [\\d.]+ m?s, attempt 1 of 25, next in \\d+ ms$`)
  )
  assert.is(lines[1], '    RangeError: It broke')
  assert.match(lines[2] ?? '', /^ +at Fail \(file:.*tasks\/Fail\.ts:2:\d+\) \{$/)
  assert.match(lines[3] ?? '', /^ +\[cause\]: Error: of old age$/)
  assert.not.match(stdout, 'node_modules/graphile-worker')
  assert.is(code, 0)
})

test('with --log-format json every line is an object', async () => {
  const { run } = await onDatabase()
  await run(['bg', 'schedule', 'Greet', '{ "name": "Ada" }'])
  await run(['bg', 'schedule', 'Fail'])
  const { stdout } = await run(['bg', '--once', '--log-format=json', '--log-level', 'debug'])
  const lines = stdout
    .trimEnd()
    .split('\n')
    .map(line => JSON.parse(line))
  for (const { time, level, message } of lines) {
    assert.ok(!Number.isNaN(Date.parse(time)) && level && typeof message === 'string')
  }
  const ready = lines.find(({ event }) => event === 'worker.ready')
  assert.equal([ready.concurrency, ready.isEmbedded, ready.tasks.length], [10, false, 5])
  const failed = lines.find(({ event }) => event === 'job.failed')
  assert.equal(
    [failed.task, failed.attempt, failed.error.name, failed.error.cause.message],
    ['Fail', 1, 'RangeError', 'of old age']
  )
  const greeted = lines.find(({ event }) => event === 'task.log')
  assert.equal([greeted.level, greeted.task, greeted.message, greeted.name], ['info', 'Greet', 'Hello, Ada', 'Ada'])
})

test('quiet levels leave out the screen and what is below them', async () => {
  const { run } = await onDatabase()
  await run(['bg', 'schedule', 'Greet'])
  for (const level of ['warn', 'error', 'silent']) {
    const { code, stdout, stderr } = await run(['bg', '--once', '--log-level', level])
    assert.equal([code, stdout, stderr], [0, '', ''])
  }
})

test('colours come with FORCE_COLOR, and not with NO_COLOR', async () => {
  const { run } = await onDatabase()
  const coloured = await run(['bg', '--once'], { FORCE_COLOR: '1' })
  assert.ok(coloured.stdout.includes('\u001b[1mkretes\u001b['))
  const plain = await run(['bg', '--once'], { FORCE_COLOR: '1', NO_COLOR: '1' })
  assert.not.ok(plain.stdout.includes('\u001b'))
})

test('schedule --json prints the job; --force takes a name that no file has', async () => {
  const { run } = await onDatabase()
  const { code, stdout } = await run(['bg', 'schedule', 'Elsewhere', '{"a":1}', '--force', '--json'])
  const { id, task, queue, attempts } = JSON.parse(stdout)
  assert.equal([id, task, queue, attempts, code], ['1', 'Elsewhere', null, 0, 0])
})

test('migrate says whether there was anything to do', async () => {
  const { run } = await onDatabase({ isEmpty: true })
  const first = await run(['bg', 'migrate'])
  assert.match(first.stdout, /^Migrated: engine \d+, kretes \d+\n$/)
  const second = await run(['bg', 'migrate'])
  assert.is(second.stdout, first.stdout.replace('Migrated', 'Up to date'))
  const third = await run(['bg', 'migrate', '--json'])
  assert.is(JSON.parse(third.stdout).hasChanged, false)
  assert.equal([first.code, second.code, third.code], [0, 0, 0])
})

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) {
  test(`${signal} lets the running job finish and ends with exit code 0`, async () => {
    const { start, run, directory } = await onDatabase()
    const file = `go-${signal}`
    await run(['bg', 'schedule', 'Wait', JSON.stringify({ file })])
    const worker = start(['bg'])
    await worker.output(/Wait 1 {2}started/)
    worker.kill(signal)
    // As npm does, which passes on what the terminal has sent already.
    worker.kill(signal)
    await worker.output(/Stopping when the running job has ended; once more to stop at once\n/)
    await writeFile(join(directory, file), '')
    const { code, stdout, stderr } = await worker.exit
    assert.match(stdout, /✓ Wait 1 {2}\S+ m?s\n.* · Stopped\n$/)
    assert.equal([code, stderr], [0, ''])
  })
}

test('SIGTERM that gives back a job which would not end is orderly: it says so and ends with exit code 0', async () => {
  const { start, run } = await onDatabase()
  await run(['bg', 'schedule', 'Wait', '{ "file": "never" }'])
  const worker = start(['bg', '--shutdown-timeout', '0.1', '--log-format', 'json'])
  await worker.output(/"event":"job.started"/)
  worker.kill('SIGTERM')
  const { code, stdout } = await worker.exit
  assert.match(stdout, /"message":"Stopped; 1 job has been put back for another worker"/)
  assert.match(stdout, /"event":"worker.stopped","unfinished":1/)
  assert.is(code, 0)
})

test('a second Ctrl-C puts back the job that would not end, with exit code 1', async () => {
  const { start, run } = await onDatabase()
  await run(['bg', 'schedule', 'Wait', '{ "file": "never", "isStubborn": true }'])
  const worker = start(['bg'])
  await worker.output(/Wait 1 {2}started/)
  worker.kill('SIGINT')
  await worker.output(/Stopping when/)
  await new Promise(resolve => setTimeout(resolve, ECHO_MS))
  worker.kill('SIGINT')
  const { code } = await worker.exit
  assert.match(worker.stdout, /! Stopped; 1 job has been put back for another worker\n$/)
  assert.is(code, 1)
})

test("an error that escapes and is no job's fault stops the worker, with exit code 1", async () => {
  const { start, directory } = await onDatabase()
  const worker = start(['bg', '--tasks', 'astray'])
  await worker.output(/concurrency/)
  await writeFile(join(directory, 'go-astray'), '')
  const { code, stdout } = await worker.exit
  assert.match(stdout, /✗ An error escaped that no task caught\n {4}Error: A stray one\n/)
  assert.match(stdout, /· Stopping\n.*· Stopped\n$/)
  assert.is(code, 1)
})

test('an exception in a callback of a task is the affair of that job, and the worker goes on', async () => {
  const { run, start } = await onDatabase()
  await run(['bg', 'schedule', 'Escape'])
  const worker = start(['bg', '--log-format', 'json'])
  await worker.output(/"event":"job.uncaught","task":"Escape","job":"1"/)
  await run(['bg', 'schedule', 'Greet'])
  await worker.output(/"event":"job.succeeded","task":"Greet","job":"2"/)
  worker.kill('SIGINT')
  assert.is((await worker.exit).code, 0)
})

test('a worker whose reader has gone works on', async () => {
  const { run, shell } = await onDatabase()
  for (let count = 0; count < 3; count++) await run(['bg', 'schedule', 'Greet'])
  const { stdout, stderr } = await shell('(kretes bg --once --log-format json; echo "ended with $?" >&2) | head -1')
  // The line may say that the worker waits for the database, and is left out then.
  assert.match(stdout, /^(?:\{.*\}\n)?$/)
  assert.is(stderr, 'ended with 0\n')
  const rest = await run(['bg', '--once'])
  assert.not.match(rest.stdout, 'Greet 1')
})

/** For how long a signal counts as the one before. */
const ECHO_MS = 250
