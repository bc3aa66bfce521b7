import type { Stats } from 'node:fs'
import { chown, readFile, realpath, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import process from 'node:process'

/** The user that the server runs as. `undefined` everywhere means the user of this process. */
export interface Account {
  readonly uid: number
  readonly gid: number
}

/** PostgreSQL refuses to run as root, and initdb needs a user that exists: `nobody` exists almost everywhere. */
export async function chooseAccount(): Promise<Account | undefined> {
  if (process.getuid?.() !== 0) return undefined
  const users = await readFile('/etc/passwd', 'utf8').catch(() => '')
  const [, uid, gid] = /^nobody:[^:]*:(\d+):(\d+):/m.exec(users) ?? []
  return { uid: Number(uid ?? 65534), gid: Number(gid ?? 65534) }
}

/** The owner of a path, if this process is root: root serves data as its owner, who can use the data afterwards. */
export async function ownerOf(path: string): Promise<Account | undefined> {
  if (process.getuid?.() !== 0) return undefined
  const { uid, gid } = await stat(path)
  return uid === 0 ? undefined : { uid, gid }
}

/** Makes an account the owner of a path. */
export async function giveTo(path: string, { uid, gid }: Account): Promise<void> {
  await chown(path, uid, gid)
  // A file system that keeps no owners may report success.
  if ((await stat(path)).uid === uid) return
  throw Object.assign(new Error(`Cannot change the owner of ${path}: its file system keeps no owners`), {
    code: 'EPERM'
  })
}

/** Whether the account may read a file or enter a directory, including every directory on the way. */
export async function canReach(path: string, account: Account | undefined): Promise<boolean> {
  if (!account) return true
  const leaf = await realpath(path)
  const found = await stat(leaf)
  if (!isGranted(found, account, found.isDirectory() ? ENTER : READ)) return false
  for (let directory = dirname(leaf); ; directory = dirname(directory)) {
    if (!isGranted(await stat(directory), account, ENTER)) return false
    if (directory === dirname(directory)) return true
  }
}

const READ = 4
const ENTER = 1

function isGranted({ mode, uid, gid }: Stats, account: Account, permission: number): boolean {
  const shift = uid === account.uid ? 6 : gid === account.gid ? 3 : 0
  return ((mode >> shift) & permission) === permission
}
