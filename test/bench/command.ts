import { type ChildProcess, spawn } from 'node:child_process'
import { closeSync, openSync } from 'node:fs'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ensureBuild } from '../helpers/build.ts'
import { onceDone } from '../helpers/cleanup.ts'
import { until } from '../helpers/until.ts'
import type { Databases } from './databases.ts'

/** The directory of what is built. */
export const distribution: string = fileURLToPath(new URL('../../dist', import.meta.url))

/** Builds it if a source is newer. */
export async function build(): Promise<void> {
  const problem = await ensureBuild()
  if (problem !== undefined) throw new Error(`Cannot build: ${problem}`)
}

/** Drains jobs through `kretes bg`, which writes two lines for each into a file. Returns the jobs a second. */
export async function drainByCommand(databases: Databases, count: number, warmUp: number): Promise<number> {
  await using database = await databases.create('kretes', [{ task: 'Trivial', count, queues: 0 }])
  const directory = await mkdtemp(join(tmpdir(), 'kretes-bench-'))
  onceDone(() => rm(directory, { recursive: true, force: true }))
  const result = join(directory, 'result')
  const log = openSync(join(directory, 'log'), 'w')
  const tasks = fileURLToPath(new URL('subjects/counting', import.meta.url))
  const worker = spawn(process.execPath, [`${distribution}/cli.js`, 'bg', '--tasks', tasks], {
    env: {
      ...process.env,
      DATABASE_URL: database.url,
      BENCH_COUNT: String(count),
      BENCH_WARM_UP: String(warmUp),
      BENCH_RESULT: result
    },
    stdio: ['ignore', log, log]
  })
  closeSync(log)
  const kill = (): Promise<void> => end(worker)
  onceDone(kill)
  try {
    const read = (): Promise<string> => readFile(result, 'utf8').catch(() => '')
    return Number(await until(read, { timeoutMs: 60_000, intervalMs: 50, what: 'the jobs run by kretes bg' }))
  } finally {
    await kill()
  }
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return
  const ended = new Promise(resolve => child.once('exit', resolve))
  child.kill('SIGKILL')
  await ended
}
