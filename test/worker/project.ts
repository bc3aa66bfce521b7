import { mkdir, mkdtemp, realpath, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { TaskFile } from '../../src/worker/tasks/discover.ts'
import { onceDone } from '../helpers/cleanup.ts'
import { run } from '../helpers/process.ts'

const repository = fileURLToPath(new URL('../..', import.meta.url))
const script = join(repository, 'test/fixtures/load.ts')

/** Creates a directory with these files, by path; it is gone when the tests are over. */
export async function createProject(files: Record<string, string>): Promise<string> {
  const project = await realpath(await mkdtemp(join(tmpdir(), 'kretes-project-')))
  onceDone(() => rm(project, { recursive: true, force: true }))
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(project, path)), { recursive: true })
    await writeFile(join(project, path), text)
  }
  return project
}

/** Gives a project tsx, and a package `kretes` that is this repository's very modules. */
export async function installPackages(project: string): Promise<void> {
  const kretes = join(project, 'node_modules/kretes')
  await mkdir(kretes, { recursive: true })
  await symlink(join(repository, 'node_modules/tsx-under-test'), join(project, 'node_modules/tsx'), 'dir')
  await writeFile(join(kretes, 'package.json'), JSON.stringify({ name: 'kretes', type: 'module', exports: './mod.js' }))
  await writeFile(
    join(kretes, 'mod.js'),
    `export * from ${JSON.stringify(new URL('../../mod.ts', import.meta.url).href)}`
  )
}

/** What test/fixtures/load.ts prints. */
export interface Outcome {
  results?: Record<string, { result: unknown; queue: string | null }>
  files?: TaskFile[]
  code?: string
  message?: string
  cause?: string
}

/** How each runtime runs a script. */
export const runtimes = {
  Node: [process.execPath],
  Deno: [join(repository, 'node_modules/.bin/deno'), 'run', '-A'],
  Bun: [join(repository, 'node_modules/.bin/bun')]
} as const

/** Loads the tasks of a project in a process of its own, started in the project. */
export async function loadIn(project: string, runtime: keyof typeof runtimes = 'Node'): Promise<Outcome> {
  const [command, ...args] = runtimes[runtime]
  const { code, stdout, stderr } = await run(command, [...args, script], { cwd: project })
  if (code !== 0) throw new Error(`Cannot load the tasks of ${project} in ${runtime}: exit code ${code}\n${stderr}`)
  return JSON.parse(stdout)
}
