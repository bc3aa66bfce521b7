import type { Stats } from 'node:fs'
import { chown, readFile, realpath, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import process from 'node:process'

/** The user whom the server runs as; `undefined` everywhere means ourselves. */
export interface Account {
  readonly uid: number
  readonly gid: number
}

/** PostgreSQL refuses to run as root, and initdb wants a user that exists: `nobody` does practically everywhere. */
export async function chooseAccount(): Promise<Account | undefined> {
  if (process.getuid?.() !== 0) return undefined
  const users = await readFile('/etc/passwd', 'utf8').catch(() => '')
  const [, uid, gid] = /^nobody:[^:]*:(\d+):(\d+):/m.exec(users) ?? []
  return { uid: Number(uid ?? 65534), gid: Number(gid ?? 65534) }
}

/** Root serves data with the rights of whoever owns it, so that its owner can go on with it afterwards. */
export async function ownerOf(path: string): Promise<Account | undefined> {
  if (process.getuid?.() !== 0) return undefined
  const { uid, gid } = await stat(path)
  return uid === 0 ? undefined : { uid, gid }
}

/** Hands a path over. */
export async function giveTo(path: string, { uid, gid }: Account): Promise<void> {
  await chown(path, uid, gid)
  // A mount from another system may take the order and forget it.
  if ((await stat(path)).uid === uid) return
  throw Object.assign(new Error(`Cannot change the owner of ${path}: its file system keeps no owners`), {
    code: 'EPERM'
  })
}

/** Whether the account may read a file or enter a directory, every directory on the way included. */
export async function canReach(path: string, account: Account | undefined): Promise<boolean> {
  if (!account) return true
  const leaf = await realpath(path)
  if (!isGranted(await stat(leaf), account, (await stat(leaf)).isDirectory() ? ENTER : READ)) return false
  for (let directory = dirname(leaf); ; directory = dirname(directory)) {
    if (!isGranted(await stat(directory), account, ENTER)) return false
    if (directory === dirname(directory)) return true
  }
}

const READ = 4
const ENTER = 1

function isGranted(found: Stats, account: Account, permission: number): boolean {
  const shift = found.uid === account.uid ? 6 : found.gid === account.gid ? 3 : 0
  return ((found.mode >> shift) & permission) === permission
}
