import { chmod, lstat, mkdtemp, readdir, readlink, realpath, rename, rm, stat, symlink } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { basename, dirname, join } from 'node:path'
import process from 'node:process'
import { type Account, canReach } from './account.ts'
import { embeddedFailure, nullIf, systemCode } from './failure.ts'
import { claim, findOwner } from './owner.ts'
import { isAlive } from './process.ts'

/**
 * A directory that is built once, by whichever process gets there first, and then stays.
 *
 * It is built under another name and appears complete, in one step that succeeds for one process only. Usually it is
 * `.kretes/<name>`. Where the server's user cannot enter that, it is elsewhere, and `.kretes/<name>` a link to it. Should
 * the target of a link vanish, its successor is `<name>.2`, then `<name>.3`: no link is ever replaced, so that nobody
 * who has just found it dead can take away a new one. The same goes for a link that came along when a project was copied:
 * what it leads to belongs to the original.
 */
export interface TreeSlot {
  readonly home: string
  readonly name: string
}

/** What {@linkcode findTree} finds. */
export interface FoundTree {
  /** The directory; `null` if there is none. */
  readonly directory: string | null
  /** Where the last one was, if it has vanished or belongs to another. */
  readonly lost: string | null
  /** The home of that other. */
  readonly owner: string | null
  /** The link or directory to make for a new one. */
  readonly next: string
}

/** Looks for a tree. */
export async function findTree({ home, name }: TreeSlot): Promise<FoundTree> {
  const entries = (await nullIf(readdir(home), 'ENOENT')) ?? []
  const newest = Math.max(0, ...entries.map(entry => generation(entry, name)))
  if (newest === 0) return { directory: null, lost: null, owner: null, next: join(home, name) }
  const current = join(home, newest === 1 ? name : `${name}.${newest}`)
  const next = join(home, `${name}.${newest + 1}`)
  const target = (await lstat(current)).isSymbolicLink() ? await readlink(current) : null
  if (!target) return { directory: await realpath(current), lost: null, owner: null, next }
  if (!(await nullIf(lstat(target), 'ENOENT'))) return { directory: null, lost: target, owner: null, next }
  if (!(await isPrivate(target))) {
    throw embeddedFailure(`Cannot use ${target}: another user owns it or may change it`)
  }
  const owner = await findOwner(target, current)
  return { directory: owner ? null : await realpath(current), lost: owner && target, owner, next }
}

/**
 * Builds a tree and makes it appear.
 *
 * @param account who has to be able to enter it
 * @param build fills the empty directory; where the system forbids what it does, it is tried in another place
 * @returns false if another process was first, or is at it: look again soon
 */
export async function createTree(
  slot: TreeSlot,
  next: string,
  account: Account | undefined,
  build: (directory: string) => Promise<void>
): Promise<boolean> {
  if ((await findBuilders(slot)).length > 0) return false
  const places = await findPlaces(slot.home, account)
  for (const [index, place] of places.entries()) {
    const isInside = place === slot.home
    const mark = `${slot.name}-${process.pid}-`
    const directory = await mkdtemp(join(place, isInside ? mark : 'kretes-'))
    const note = isInside ? directory : join(slot.home, mark + directory.slice(-6))
    try {
      if (!isInside) await symlink(directory, note)
      // Of those who came at once, one builds: a courtesy to the machine, the order of publishing is what decides.
      const [first = ''] = await findBuilders(slot)
      if (first && first < basename(note)) return await discard(directory)
      // Others may pass through to what they know is there, and see no more.
      await chmod(directory, account ? 0o711 : 0o700)
      await build(directory)
      if (!isInside) await claim(directory, slot.home)
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
  const tried = [slot.home, ...OUTSIDE()].join(', ')
  throw embeddedFailure(
    `Cannot create ${next}: the user ${account?.uid}, who runs PostgreSQL for root, enters none of ${tried}`
  )
}

/** Removes what processes killed in the middle of building have left. */
export async function sweepTrees(home: string): Promise<void> {
  for (const entry of await readdir(home)) {
    const path = join(home, entry)
    const builder = builderOf(entry)
    const left = builder && !isAlive(builder) ? await nullIf(lstat(path), 'ENOENT') : null
    if (!left || Date.now() - left.mtimeMs < ABANDONED_MS) continue
    const target = left.isSymbolicLink() ? await readlink(path) : path
    // A link proves nothing: only what we may have made is removed.
    const isOurs = target === path || (OUTSIDE().includes(dirname(target)) && /^kretes-\w{6}$/.test(basename(target)))
    if (isOurs && (await isPrivate(target))) await discard(target)
    await rm(path, { recursive: true, force: true })
  }
}

/** Long enough for every machine, since a builder elsewhere, in another container, looks dead from here. */
const ABANDONED_MS = 600_000

/** After this time nobody waits for another's work any more. */
const BUILDING_MS = 15_000

/** A persistent place first: what is in the system's temporary directory may be gone after a reboot. */
const OUTSIDE = (): string[] => ['/var/tmp', tmpdir(), '/var/lib']

function generation(entry: string, name: string): number {
  const rest = remainder(entry, name)
  if (rest === '') return 1
  return /^\.\d+$/.test(rest) ? Number(rest.slice(1)) : 0
}

function remainder(entry: string, name: string): string {
  return entry.startsWith(name) ? entry.slice(name.length) : '?'
}

/** The process that builds under this name, if it is such a name. */
function builderOf(entry: string): number {
  return Number(/-(\d+)-\w{6}$/.exec(entry)?.[1] ?? 0)
}

/** The names under which processes are building this tree now, in an order that all of them see alike. */
async function findBuilders({ home, name }: TreeSlot): Promise<string[]> {
  const building: string[] = []
  for (const entry of await readdir(home)) {
    if (!/^-\d+-\w{6}$/.test(remainder(entry, name)) || !isAlive(builderOf(entry))) continue
    const found = await nullIf(lstat(join(home, entry)), 'ENOENT')
    if (found && Date.now() - found.mtimeMs < BUILDING_MS) building.push(entry)
  }
  return building.sort()
}

async function findPlaces(home: string, account: Account | undefined): Promise<string[]> {
  if (!account) return [home]
  const places: string[] = []
  for (const place of new Set([home, ...OUTSIDE()])) {
    const isThere = await stat(place).catch(() => null)
    if (isThere && (await canReach(place, account))) places.push(place)
  }
  return places
}

async function discard(directory: string): Promise<false> {
  await rm(directory, { recursive: true, force: true, maxRetries: 3 })
  return false
}

/** Below a directory that everybody may write to, only what is ours alone to change can be trusted. */
async function isPrivate(directory: string): Promise<boolean> {
  const found = await nullIf(lstat(directory), 'ENOENT')
  return found?.isDirectory() === true && found.uid === process.getuid?.() && (found.mode & 0o022) === 0
}

function isRefusal(error: unknown): boolean {
  if (['EACCES', 'EPERM', 'EINVAL', 'EROFS', 'ENOSPC'].includes(systemCode(error) ?? '')) return true
  return error instanceof Error && error.cause !== undefined && isRefusal(error.cause)
}
