import { execFile } from 'node:child_process'
import { existsSync } from 'node:fs'
import { mkdir, mkdtemp, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { promisify } from 'node:util'

const execute = promisify(execFile)
const cache = fileURLToPath(new URL('../../node_modules/.cache/kretes-test', import.meta.url))

/**
 * The `node_modules` with one package of the registry, such as `node@22`: installed when first asked for, kept for later
 * runs. Safe when several processes ask at once.
 */
export async function installed(name: string, version: string, { runScripts = false } = {}): Promise<string> {
  const directory = join(cache, `${name}@${version}`.replaceAll('/', '+'))
  const modules = join(directory, 'node_modules')
  if (existsSync(modules)) return modules

  await mkdir(cache, { recursive: true })
  const building = await mkdtemp(join(cache, 'installing-'))
  try {
    await writeFile(join(building, 'package.json'), JSON.stringify({ allowScripts: { [name]: runScripts } }))
    const quiet = ['--no-audit', '--no-fund', '--no-package-lock', '--loglevel=error']
    const args = ['install', '--prefix', building, `--ignore-scripts=${!runScripts}`, ...quiet, `${name}@${version}`]
    await execute('npm', args)
    await rename(building, directory)
  } catch (error) {
    await rm(building, { recursive: true, force: true })
    // Another process may have been faster: ours is not needed then.
    if (!existsSync(modules)) throw error
  }
  return modules
}

/** A directory that, put first on PATH, makes `node`, `npm` and `npx` those of a major version of Node. */
export async function nodeOf(major: number): Promise<string> {
  if (process.versions.node.startsWith(`${major}.`)) return dirname(process.execPath)
  return join(await installed('node', String(major), { runScripts: true }), 'node/bin')
}
