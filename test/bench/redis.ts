import { execFile, spawn } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { onceDone } from '../helpers/cleanup.ts'
import { freePort } from '../helpers/server.ts'

/** A Redis server of its own, empty; it keeps its log on the disk as BullMQ recommends. */
export interface RedisServer extends AsyncDisposable {
  readonly url: string
}

/** Redis' version, if there is one. */
export async function findRedis(): Promise<string | undefined> {
  const { stdout } = await promisify(execFile)('redis-server', ['--version']).catch(() => ({ stdout: '' }))
  return /\bv=([\d.]+)/.exec(stdout)?.[1]
}

/** Starts a server on a free port of the loopback interface. */
export async function startRedis(): Promise<RedisServer> {
  const directory = await mkdtemp(join(tmpdir(), 'kretes-redis-'))
  const port = await freePort()
  const settings = {
    port,
    bind: '127.0.0.1',
    dir: directory,
    appendonly: 'yes',
    appendfsync: 'everysec',
    // Snapshots, which would fork the server while it is measured.
    save: '',
    'maxmemory-policy': 'noeviction'
  }
  const flags = Object.entries(settings).flatMap(([name, value]) => [`--${name}`, String(value)])
  // When this process is gone, even by SIGKILL, so is its end of the pipe, and the shell ends the server.
  const child = spawn('sh', ['-c', AWAIT_END, directory, 'redis-server', ...flags], {
    stdio: ['pipe', 'pipe', 'ignore']
  })
  const ended = new Promise<void>(resolve => child.once('close', () => resolve()))
  const end = async (): Promise<void> => {
    child.stdin.end()
    await ended
    await rm(directory, { recursive: true, force: true })
  }
  onceDone(end)
  await new Promise<void>((resolve, reject) => {
    let log = ''
    child.stdout.setEncoding('utf8').on('data', chunk => {
      log = (log + chunk).slice(-10_000)
      if (log.includes('Ready to accept connections')) resolve()
    })
    ended.then(() => reject(new Error(`Cannot start Redis: it wrote ${log}`)))
  })
  return { url: `redis://127.0.0.1:${port}`, [Symbol.asyncDispose]: end }
}

const AWAIT_END = `"$@" < /dev/null &
read -r line; kill -KILL $!; wait $!; rm -rf "$0"`
