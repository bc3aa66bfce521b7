import { execFile, spawn } from 'node:child_process'
import { chmod, cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { promisify } from 'node:util'
import postgres from 'postgres'
import { prepareInstallation, type User } from './installation.ts'

const run = promisify(execFile)

/** As PostgreSQL's `fast` and `immediate` shutdown. */
export type Signal = 'INT' | 'QUIT'

/** What {@linkcode startServer} takes. */
export interface ServerOptions {
  /**
   * PostgreSQL's major version, or `stock` for the newest that Debian's packages have installed, which has JIT.
   *
   * @default `KRETES_TEST_POSTGRES`, or 18
   */
  major?: string
  /**
   * Whether commits reach the disk; without, everything is faster.
   *
   * @default false
   */
  isDurable?: boolean
  /** Settings of the server, as in postgresql.conf. */
  settings?: Record<string, string | number>
  /**
   * The server that it follows as a hot standby.
   *
   * @default none
   */
  primary?: Server
}

/** A PostgreSQL server of its own, empty, for one run of tests. */
export interface Server {
  /** Its maintenance database. */
  readonly url: string
  readonly port: number
  /** PostgreSQL's data directory. */
  readonly data: string
  /** Restarts it on the same port: `INT` ends all connections in good order, `QUIT` is a crash. */
  restart(signal?: Signal): Promise<void>
  /** Stops it at once and removes its files. */
  stop(): Promise<void>
}

/** Starts a server on a free port. It ends with this process, whichever way this process ends. */
export async function startServer(options: ServerOptions = {}): Promise<Server> {
  const asked = options.major ?? (process.env.KRETES_TEST_POSTGRES || '18')
  const directory = await mkdtemp(join(tmpdir(), 'kretes-postgres-'))
  if (process.getuid?.() === 0) await chmod(directory, 0o755)
  const { binaries, major, user, seed } = await prepareInstallation(asked, directory)
  const data = join(directory, 'data')
  if (options.primary) {
    await mkdir(data, { mode: 0o700 })
    await copyData(options.primary, data, Number(major))
  } else await run('cp', ['-R', seed, data])
  if (user) await run('chown', ['-R', `${user.uid}:${user.gid}`, directory])
  const port = await freePort()
  const settings = {
    port,
    listen_addresses: '127.0.0.1',
    unix_socket_directories: '',
    max_connections: 200,
    ...(options.isDurable ? {} : { fsync: 'off', full_page_writes: 'off' }),
    ...(options.primary && { primary_conninfo: `host=127.0.0.1 port=${options.primary.port} user=postgres` }),
    ...options.settings
  }
  const flags = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`])
  const command = [join(binaries, 'bin/postgres'), '-D', data, ...flags]
  let end = await watch(command, directory, user)
  return {
    url: `postgres://postgres@127.0.0.1:${port}/postgres`,
    port,
    data,
    async restart(signal = 'INT') {
      await end(signal)
      end = await watch(command, directory, user)
    },
    async stop() {
      await end('QUIT')
      await rm(directory, { recursive: true, force: true })
    }
  }
}

/** Takes a backup of a running server, from which a standby begins. */
async function copyData(primary: Server, data: string, major: number): Promise<void> {
  const sql = postgres(primary.url, { max: 1, onnotice: () => {} })
  const [start, stop] =
    major < 15 ? ['pg_start_backup', 'pg_stop_backup(false)'] : ['pg_backup_start', 'pg_backup_stop()']
  await sql.unsafe(`select ${start}('standby', true${major < 15 ? ', false' : ''})`)
  await cp(primary.data, data, { recursive: true, filter: path => basename(path) !== 'postmaster.pid' })
  const [backup] = await sql.unsafe<{ labelfile: string }[]>(`select labelfile from ${stop}`)
  await sql.end()
  await writeFile(join(data, 'backup_label'), backup?.labelfile ?? '')
  await writeFile(join(data, 'standby.signal'), '')
}

/**
 * Runs the server behind a shell that waits for a signal's name on its input. When this process is gone, even by
 * SIGKILL, so is its end of the pipe, and the shell stops the server and removes its files.
 */
async function watch(command: string[], directory: string, user?: User): Promise<(signal: Signal) => Promise<void>> {
  const child = spawn('sh', ['-c', AWAIT_SIGNAL, directory, ...command], { ...user, cwd: '/', detached: true })
  const ended = new Promise<void>(resolve => child.once('close', () => resolve()))
  let log = ''
  let isReady = false
  await new Promise<void>((resolve, reject) => {
    child.once('error', reject)
    child.stdin.on('error', () => {})
    child.stderr.setEncoding('utf8').on('data', chunk => {
      log = (log + chunk).slice(-10_000)
      if (isReady) return
      isReady = /ready to accept (?:read-only )?connections/.test(log)
      // Later, and where somebody has connected too early, such lines are about single connections.
      if (isReady) resolve()
      else if (/(FATAL|PANIC): +(?! |the database system is)/.test(log)) child.stdin.end()
    })
    ended.then(() => reject(new Error(`Cannot start PostgreSQL: it wrote ${log}`)))
  })
  // Its end comes when its streams have closed, which may be after the end of the process.
  const handles = [child, child.stdin, child.stdout, child.stderr] as unknown as { ref(): void; unref(): void }[]
  for (const handle of handles) handle.unref()
  return signal => {
    for (const handle of handles) handle.ref()
    child.stdin.end(`${signal}\n`)
    return ended
  }
}

const AWAIT_SIGNAL = `"$@" < /dev/null &
if read -r signal; then kill -"$signal" $!; wait $!; else kill -QUIT $!; wait $!; rm -rf "$0"; fi`

/** A port of the loopback interface that nobody listens on. */
export async function freePort(): Promise<number> {
  const listener = createServer().listen(0, '127.0.0.1')
  await new Promise(resolve => listener.once('listening', resolve))
  const { port } = listener.address() as { port: number }
  await new Promise(resolve => listener.close(resolve))
  return port
}
