import { existsSync } from 'node:fs'
import { chmod, mkdir, writeFile } from 'node:fs/promises'
import { dirname, join, resolve } from 'node:path'
import process from 'node:process'

/** Root of the project that contains `directory`: the nearest ancestor with a manifest, else `directory` itself. */
export function findProject(directory: string): string {
  const start = resolve(directory)
  for (let candidate = start; ; candidate = dirname(candidate)) {
    if (MANIFESTS.some(manifest => existsSync(join(candidate, manifest)))) return candidate
    if (candidate === dirname(candidate)) return start
  }
}

/** Where kretes keeps what belongs to a project. */
export function homeOf(project: string): string {
  return join(resolve(project), '.kretes')
}

/** Creates the project's `.kretes` where it is missing; git ignores it without being told. */
export async function openHome(project: string): Promise<string> {
  const home = homeOf(project)
  const created = await mkdir(home, { recursive: true })
  // Whatever root's umask is: the server's user has to pass through.
  if (created && process.getuid?.() === 0) await chmod(home, 0o755)
  await writeFile(join(home, '.gitignore'), '*\n', { flag: 'wx' }).catch(error => {
    if (error.code !== 'EEXIST') throw error
  })
  return home
}

const MANIFESTS = ['package.json', 'deno.json', 'deno.jsonc']
