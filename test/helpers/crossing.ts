import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onceDone } from './cleanup.ts'
import type { TestDatabase } from './database.ts'
import { run, start } from './process.ts'
import { type RuntimeName, runtimeNames, runtimes } from './runtimes.ts'
import { assert } from './suite.ts'
import { until } from './until.ts'

/** An application as in `test/runtime/app`, and the names under which it finds kretes. */
export interface App {
  /** Where its files are. */
  directory: string
  /** What it imports to schedule, and to work; each runtime may have its own. */
  core(runtime: RuntimeName): string
  worker(runtime: RuntimeName): string
}

/** Starts a worker in one runtime and has every runtime schedule a job for it; each must run once. */
export async function crossInto(runtime: RuntimeName, app: App, { url }: TestDatabase): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'kretes-crossing-'))
  onceDone(() => rm(directory, { recursive: true }))
  const options = { cwd: app.directory, env: { DATABASE_URL: url } }
  const script = (name: RuntimeName, file: string, ...args: string[]): [string, string[]] => {
    const [command, ...flags] = runtimes[name]
    return [command, [...flags, join(app.directory, file), ...args]]
  }

  const worker = start(...script(runtime, 'work.ts', app.worker(runtime)), options)
  await worker.output(/ready for Greet/)
  for (const from of runtimeNames) {
    const payload = JSON.stringify({ name: from, directory })
    const { code, stdout, stderr } = await run(...script(from, 'schedule.ts', app.core(from), payload), options)
    assert.is(code, 0, `${from}: ${stderr}`)
    assert.match(stdout, /^scheduled \d+$/m)
  }

  const greetings = join(directory, 'greetings.txt')
  const read = () => readFile(greetings, 'utf8').catch(() => '')
  await until(async () => (await read()).split('\n').length > runtimeNames.length, { what: 'all greetings' })
  worker.kill('SIGTERM')
  const { code, stderr } = await worker.exit
  assert.is(code, 0, stderr)
  assert.match(worker.stdout, /stopped, 0 unfinished/)
  assert.is(await read(), runtimeNames.map(name => `Hello, ${name}\n`).join(''))
}
