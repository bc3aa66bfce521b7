import { randomUUID } from 'node:crypto'
import { readdir, readFile, readlink, realpath, rename, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { nullIf } from './failure.ts'

/** Writes into a tree outside of it whose `.kretes` it belongs to. */
export async function claim(tree: string, home: string): Promise<void> {
  const written = `${join(tree, NOTE)}-${randomUUID()}`
  await writeFile(written, await realpath(home), { mode: 0o600 })
  await rename(written, join(tree, NOTE))
}

/**
 * Finds out whether a tree belongs to another home than that with this link to it: the link was copied together with the
 * project. If the other is gone, or leads elsewhere by now, the project was moved, and the tree is this home's.
 *
 * @returns the other home, or `null`
 */
export async function findOwner(tree: string, link: string): Promise<string | null> {
  const home = dirname(link)
  const owner = await nullIf(readFile(join(tree, NOTE), 'utf8'), 'ENOENT')
  if (owner === (await realpath(home))) return null
  if (owner !== null && !(await isSame(owner, home)) && (await leadsTo(owner, tree))) return owner
  // From now on a copy of this one is known for what it is.
  await claim(tree, home)
  return null
}

const NOTE = 'home'

/** By identity: a directory may have several paths. */
async function isSame(one: string, other: string): Promise<boolean> {
  const [first, second] = await Promise.all([one, other].map(path => nullIf(stat(path), ...ABSENT)))
  return !!first && !!second && first.dev === second.dev && first.ino === second.ino
}

async function leadsTo(home: string, tree: string): Promise<boolean> {
  const entries = (await nullIf(readdir(home), ...ABSENT)) ?? []
  const targets = entries.map(entry => nullIf(readlink(join(home, entry)), 'EINVAL', 'ENOENT'))
  return (await Promise.all(targets)).some(target => target === tree)
}

/** How the system says that there is no such directory any more. */
const ABSENT = ['ENOENT', 'ENOTDIR']
