import { randomUUID } from 'node:crypto'
import { readdir, readFile, readlink, realpath, rename, stat, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { nullIf } from './error.ts'

/** Records, in a directory outside of it, the home that the directory belongs to. */
export async function recordHome(directory: string, home: string): Promise<void> {
  const written = `${join(directory, RECORD)}-${randomUUID()}`
  await writeFile(written, await realpath(home), { mode: 0o600 })
  await rename(written, join(directory, RECORD))
}

/**
 * Tells a copied project from a moved one, by the link in its home. If the home on record is gone, or no longer links to
 * the directory, the project was moved and the directory is this home's.
 *
 * @returns the home of the original if this one is a copy, else `null`
 */
export async function findOriginal(directory: string, link: string): Promise<string | null> {
  const home = dirname(link)
  const recorded = await nullIf(readFile(join(directory, RECORD), 'utf8'), 'ENOENT')
  if (recorded === (await realpath(home))) return null
  if (recorded !== null && !(await isSame(recorded, home)) && (await linksTo(recorded, directory))) return recorded
  // From now on a copy of this home is recognized.
  await recordHome(directory, home)
  return null
}

const RECORD = 'home'

/** Compares by identity: a directory may have several paths. */
async function isSame(one: string, other: string): Promise<boolean> {
  const [first, second] = await Promise.all([one, other].map(path => nullIf(stat(path), ...ABSENT)))
  return !!first && !!second && first.dev === second.dev && first.ino === second.ino
}

async function linksTo(home: string, directory: string): Promise<boolean> {
  const entries = (await nullIf(readdir(home), ...ABSENT)) ?? []
  const targets = entries.map(entry => nullIf(readlink(join(home, entry)), 'EINVAL', 'ENOENT'))
  return (await Promise.all(targets)).includes(directory)
}

/** The codes for a directory that does not exist. */
const ABSENT = ['ENOENT', 'ENOTDIR']
