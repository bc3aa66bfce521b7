import { cp, mkdtemp, readFile, realpath, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { onceDone } from './cleanup.ts'
import { type Exit, run } from './process.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))

/** A project of a user's that has kretes installed from its tarball. */
export interface PackedProject {
  readonly directory: string
  /** The paths in the tarball. */
  readonly files: readonly string[]
}

/**
 * Packs the build as npm would publish it and installs it into an empty directory, together with the application in
 * `test/runtime/app`. Removed when the tests are over.
 */
export async function createPackedProject(): Promise<PackedProject> {
  const directory = await realpath(await mkdtemp(join(tmpdir(), 'kretes-project-')))
  onceDone(() => rm(directory, { recursive: true, force: true }))
  const { stdout } = await succeed('npm', ['pack', '--json', '--pack-destination', directory], await stage())
  const [{ filename, files }] = Object.values(JSON.parse(stdout)) as [{ filename: string; files: { path: string }[] }]
  await cp(join(root, 'test/runtime/app'), directory, { recursive: true })
  await writeFile(join(directory, 'package.json'), JSON.stringify({ private: true, type: 'module' }))
  const quiet = ['--no-audit', '--no-fund', '--loglevel=error', '--prefer-offline']
  await succeed('npm', ['install', ...quiet, `./${filename}`], directory)
  return { directory, files: files.map(file => file.path) }
}

/** What the package's manifest says, as installed. */
export async function readManifest({ directory }: PackedProject): Promise<{ version: string }> {
  return JSON.parse(await readFile(join(directory, 'node_modules/kretes/package.json'), 'utf8'))
}

/**
 * A copy of this repository without its scripts. Older versions of npm build when they pack, whatever they are told, and
 * would take `dist` away from the tests that run at the same time.
 */
async function stage(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'kretes-stage-'))
  onceDone(() => rm(directory, { recursive: true }))
  const left = ['.git', '.kretes', 'node_modules'].map(name => join(root, name))
  await cp(root, directory, { recursive: true, filter: path => !left.includes(path) })
  const { scripts: _, ...manifest } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'))
  await writeFile(join(directory, 'package.json'), JSON.stringify(manifest))
  return directory
}

async function succeed(command: string, args: string[], cwd: string): Promise<Exit> {
  const exit = await run(command, args, { cwd })
  if (exit.code !== 0) throw new Error(`Cannot run ${command} ${args[0]}: ${exit.stderr || exit.stdout}`)
  return exit
}
