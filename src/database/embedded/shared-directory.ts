import { chmod, lstat, mkdtemp, readdir, readlink, realpath, rename, rm, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import process from 'node:process'
import { type Account, canReach } from './account.ts'
import { findOriginal, recordHome } from './copies.ts'
import { codeOf, EmbeddedError, nullIf } from './error.ts'
import { isAlive } from './process.ts'

/**
 * A directory that many processes use and one of them builds, once. It is built under another name and appears complete,
 * in one step that succeeds for one process only.
 *
 * Usually it is `<home>/<name>`. If the server's user cannot enter that, it is elsewhere, and `<home>/<name>` is a link
 * to it. If the target of a link vanishes, the next link is `<name>.2`, then `<name>.3`. No link is ever replaced:
 * a process that has just found one to be dead could remove its replacement. The same holds for a link that was copied
 * with a project: its target belongs to the original.
 */
export interface SharedDirectory {
  readonly home: string
  readonly name: string
}

/** What {@linkcode findDirectory} finds. */
export interface FoundDirectory {
  /** The directory; `null` if there is none. */
  readonly directory: string | null
  /** The target of the last link, if it has vanished or belongs to another home. */
  readonly lost: string | null
  /** The other home. */
  readonly owner: string | null
  /** The path for a new link or directory. */
  readonly next: string
}

/** Looks for a shared directory. */
export async function findDirectory({ home, name }: SharedDirectory): Promise<FoundDirectory> {
  const entries = (await nullIf(readdir(home), 'ENOENT')) ?? []
  const newest = Math.max(0, ...entries.map(entry => generationOf(entry, name)))
  if (newest === 0) return { directory: null, lost: null, owner: null, next: join(home, name) }
  const current = join(home, newest === 1 ? name : `${name}.${newest}`)
  const next = join(home, `${name}.${newest + 1}`)
  const target = (await lstat(current)).isSymbolicLink() ? await readlink(current) : null
  if (!target) return { directory: await realpath(current), lost: null, owner: null, next }
  if (!(await nullIf(lstat(target), 'ENOENT'))) return { directory: null, lost: target, owner: null, next }
  if (!(await isPrivate(target))) {
    throw new EmbeddedError(`Cannot use ${target}: another user owns it or may change it`)
  }
  const owner = await findOriginal(target, current)
  return { directory: owner ? null : await realpath(current), lost: owner && target, owner, next }
}

/**
 * Builds a shared directory and makes it appear.
 *
 * @param account the user who has to be able to enter it
 * @param build fills the empty directory. If the system forbids a step, `build` is called again in another place
 * @returns false if another process was first, or is building: look again soon
 */
export async function createDirectory(
  shared: SharedDirectory,
  next: string,
  account: Account | undefined,
  build: (directory: string) => Promise<void>
): Promise<boolean> {
  if ((await findBuilders(shared)).length > 0) return false
  const places = await findPlaces(shared.home, account)
  for (const [index, place] of places.entries()) {
    const isInside = place === shared.home
    const mark = `${shared.name}-${process.pid}-`
    const directory = await mkdtemp(join(place, isInside ? mark : 'kretes-'))
    const note = isInside ? directory : join(shared.home, mark + directory.slice(-6))
    try {
      if (!isInside) await symlink(directory, note)
      // Of the processes that came at once, one builds. This only saves work: the order of publishing decides.
      const [first = ''] = await findBuilders(shared)
      if (first && first < basename(note)) return await discard(directory)
      // Other users may pass through to a path that they know. They cannot list the directory.
      await chmod(directory, account ? 0o711 : 0o700)
      await build(directory)
      if (!isInside) await recordHome(directory, shared.home)
      await (isInside ? rename(directory, next) : symlink(directory, next))
      return true
    } catch (error) {
      await discard(directory)
      if (await nullIf(lstat(next), 'ENOENT')) return false
      if (!isRefusal(error) || index === places.length - 1) throw error
    } finally {
      if (!isInside) await rm(note, { force: true })
    }
  }
  const tried = [shared.home, ...OUTSIDE()].join(', ')
  throw new EmbeddedError(
    `Cannot create ${next}: the user ${account?.uid}, who runs PostgreSQL for root, can enter none of ${tried}`
  )
}

/** Removes the remains of processes that were killed while they built a directory. */
export async function removeAbandoned(home: string): Promise<void> {
  for (const entry of await readdir(home)) {
    const path = join(home, entry)
    const builder = builderOf(entry)
    const left = builder && !isAlive(builder) ? await nullIf(lstat(path), 'ENOENT') : null
    if (!left || Date.now() - left.mtimeMs < ABANDONED_MS) continue
    const target = left.isSymbolicLink() ? await readlink(path) : path
    // A link proves nothing: only a directory that kretes may have made is removed.
    const isOurs = target === path || (OUTSIDE().includes(dirname(target)) && /^kretes-\w{6}$/.test(basename(target)))
    if (isOurs && (await isPrivate(target))) await discard(target)
    await rm(path, { recursive: true, force: true })
  }
}

/** Long enough for every machine: a builder in another container looks dead from here. */
const ABANDONED_MS = 600_000

/** How long a process waits for another to build. */
const BUILDING_MS = 15_000

/** Persistent places first: a reboot may empty the system's temporary directory. */
const OUTSIDE = (): string[] => ['/var/tmp', tmpdir(), '/var/lib']

/** 1 for `<name>`, 2 for `<name>.2`, 0 for any other entry. */
function generationOf(entry: string, name: string): number {
  const rest = suffixOf(entry, name)
  if (rest === '') return 1
  return /^\.\d+$/.test(rest) ? Number(rest.slice(1)) : 0
}

function suffixOf(entry: string, name: string): string {
  return entry.startsWith(name) ? entry.slice(name.length) : '?'
}

/** The process that builds under this name; 0 if it is the name of a finished directory. */
function builderOf(entry: string): number {
  return Number(/-(\d+)-\w{6}$/.exec(entry)?.[1] ?? 0)
}

/** The names under which processes are building now, in an order that is the same for all of them. */
async function findBuilders({ home, name }: SharedDirectory): Promise<string[]> {
  const building: string[] = []
  for (const entry of await readdir(home)) {
    if (!/^-\d+-\w{6}$/.test(suffixOf(entry, name)) || !isAlive(builderOf(entry))) continue
    const found = await nullIf(lstat(join(home, entry)), 'ENOENT')
    if (found && Date.now() - found.mtimeMs < BUILDING_MS) building.push(entry)
  }
  return building.sort()
}

async function findPlaces(home: string, account: Account | undefined): Promise<string[]> {
  if (!account) return [home]
  const places: string[] = []
  for (const place of new Set([home, ...OUTSIDE()])) {
    if (await canReach(place, account).catch(() => false)) places.push(place)
  }
  return places
}

async function discard(directory: string): Promise<false> {
  await rm(directory, { recursive: true, force: true, maxRetries: 3 })
  return false
}

/** Below a directory that every user may write to, only a directory that no other user may change can be trusted. */
async function isPrivate(directory: string): Promise<boolean> {
  const found = await nullIf(lstat(directory), 'ENOENT')
  return found?.isDirectory() === true && found.uid === process.getuid?.() && (found.mode & 0o022) === 0
}

/** Whether the system forbids a step in this place. */
function isRefusal(error: unknown): boolean {
  if (['EACCES', 'EPERM', 'EINVAL', 'EROFS', 'ENOSPC'].includes(codeOf(error) ?? '')) return true
  return error instanceof Error && error.cause !== undefined && isRefusal(error.cause)
}
