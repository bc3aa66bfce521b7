import { existsSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'

/** The root of the project that contains `directory`: the nearest ancestor with a manifest, else `directory` itself. */
export function findProject(directory: string): string {
  const start = resolve(directory)
  for (let candidate = start; ; candidate = dirname(candidate)) {
    if (MANIFESTS.some(manifest => existsSync(join(candidate, manifest)))) return candidate
    if (candidate === dirname(candidate)) return start
  }
}

/** The directory for kretes' files in a project, the embedded database among them. */
export function homeOf(project: string): string {
  return join(resolve(project), '.kretes')
}

const MANIFESTS = ['package.json', 'deno.json', 'deno.jsonc']
