import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createDatabase } from '../helpers/database.ts'
import { type Child, start } from '../helpers/process.ts'
import { assert, suite } from '../helpers/suite.ts'
import { until } from '../helpers/until.ts'
import { createProgram, TASKS } from './program.ts'

const test = suite('a worker whose parent has ended')
const { directory, run } = await createProgram(TASKS)
const bins = join(directory, 'node_modules/.bin')

/** A worker that a shell has started, on a database of its own; it writes to a file, which outlives the shell. */
async function startIn(name: string, line: string) {
  const database = await createDatabase()
  const env = { DATABASE_URL: database.url, PATH: `${bins}:${process.env.PATH}` }
  await run(['bg', 'schedule', 'Wait', JSON.stringify({ file: `go-${name}` })], env)
  const parent: Child = start('sh', ['-c', line.replaceAll('LOG', `${name}.log`)], { cwd: directory, env })
  const says = async (pattern: RegExp): Promise<string> => {
    const path = join(directory, `${name}.log`)
    await until(async () => pattern.test(await readFile(path, 'utf8').catch(() => '')), { what: String(pattern) })
    return await readFile(path, 'utf8')
  }
  const whenLeft = () => until(async () => (await database.sql`select from kretes.workers`).length === 0)
  await says(/"event":"job.started"/)
  return { parent, says, whenLeft, ...database }
}

for (const [name, line, signal] of [
  ['sh', 'kretes bg --log-format json > LOG 2>&1 & wait', 'SIGKILL'],
  ['npx', 'exec npx --no kretes bg --log-format json > LOG 2>&1', 'SIGTERM']
] as const) {
  test(`stops in order, and lets the running job finish, when ${signal} ends ${name}`, async () => {
    const { parent, says, whenLeft, sql } = await startIn(name, line)
    parent.kill(signal)
    await says(/"message":"The process that started this one has ended"/)
    await says(/"message":"Stopping when the running job has ended/)
    await writeFile(join(directory, `go-${name}`), '')
    const log = await says(/"event":"worker.stopped","unfinished":0/)
    assert.match(log, /"event":"job.succeeded"/)
    await whenLeft()
    assert.is((await sql`select from graphile_worker.jobs`).length, 0)
  })
}

test('goes on if it leads a process group of its own, as setsid and terminals give it', async () => {
  const spawn = `
    const { spawn } = await import('node:child_process')
    const { openSync } = await import('node:fs')
    const out = openSync('group.log', 'w')
    const args = ['node_modules/.bin/kretes', 'bg', '--log-format', 'json', '--log-level', 'debug']
    spawn(process.execPath, args, { detached: true, stdio: ['ignore', out, out] })
    setInterval(() => {}, 1_000)`
  await writeFile(join(directory, 'spawn.mjs'), spawn)
  const { parent, says, whenLeft, sql } = await startIn('group', `exec '${process.execPath}' spawn.mjs`)
  parent.kill('SIGKILL')
  await says(/"message":"The process that started this worker has ended; the worker continues"/)
  await sql`select graphile_worker.add_job('Greet', '{"name":"Ada"}')`
  const log = await says(/"message":"Hello, Ada"/)
  assert.not.match(log, /Stopping/)
  const [worker] = await sql<{ pid: number }[]>`select pid from kretes.workers`
  process.kill(worker?.pid ?? 0, 'SIGTERM')
  await writeFile(join(directory, 'go-group'), '')
  await whenLeft()
})

test('goes on with --detached, also when its terminal hangs up', async () => {
  const { parent, says, whenLeft, sql } = await startIn(
    'flag',
    'kretes bg --detached --log-format json > LOG 2>&1 & wait'
  )
  parent.kill('SIGKILL')
  const [worker] = await sql<{ pid: number }[]>`select pid from kretes.workers`
  process.kill(worker?.pid ?? 0, 'SIGHUP')
  await sql`select graphile_worker.add_job('Greet', '{"name":"Ada"}')`
  assert.not.match(await says(/"message":"Hello, Ada"/), /Stopping/)
  process.kill(worker?.pid ?? 0, 'SIGTERM')
  await says(/"message":"Stopping/)
  await writeFile(join(directory, 'go-flag'), '')
  await whenLeft()
})
