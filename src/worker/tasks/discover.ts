import type { Dirent } from 'node:fs'
import { readdir, realpath, stat } from 'node:fs/promises'
import { join, parse, relative, resolve, sep } from 'node:path'
import { BackgroundError } from '../../errors.ts'
import { isTaskName, notATaskName } from '../../text/task-name.ts'

/** A task file. It is identified by its name and not imported yet. */
export interface TaskFile {
  /** The base name without its extension: the task's name. */
  readonly name: string
  /** The absolute path. */
  readonly path: string
  /** The path from the current directory, with forward slashes: for people to read. */
  readonly relativePath: string
}

/**
 * Finds the task files below a directory, sorted by name. It reads only the names of files and imports nothing. The
 * problems, one line each, are those of the names.
 *
 * @throws {BackgroundError} code `TASKS` if the directory is missing or cannot be read
 */
export async function discoverTasks(directory: string): Promise<{ files: TaskFile[]; problems: string[] }> {
  const files: TaskFile[] = []
  const problems: string[] = []
  const firstPaths = new Map<string, string>()
  for (const path of (await findPaths(resolve(directory))).sort()) {
    const { name } = parse(path)
    const relativePath = displayPath(path)
    if (!isTaskName(name)) {
      problems.push(`${relativePath}: ${notATaskName(name)}; if it is no task, begin its name with an underscore`)
      continue
    }
    const firstPath = firstPaths.get(name)
    if (firstPath) problems.push(`${relativePath}: its name is already that of ${firstPath}`)
    else firstPaths.set(name, relativePath)
    files.push({ name, path, relativePath })
  }
  return { files: files.sort(byName), problems }
}

/** A path as messages show it: from the current directory, with forward slashes. */
export function displayPath(path: string): string {
  return relative(process.cwd(), path).replaceAll(sep, '/') || '.'
}

async function findPaths(root: string): Promise<string[]> {
  try {
    return await walk(root, new Set())
  } catch (error) {
    throw new BackgroundError('TASKS', cannotRead(displayPath(root), error), { cause: error })
  }
}

/** `above` holds the real paths of the parent directories: following a link back to one of them would never end. */
async function walk(directory: string, above: ReadonlySet<string>): Promise<string[]> {
  const here = await realpath(directory)
  if (above.has(here)) return []
  const path = new Set(above).add(here)
  const entries = (await readdir(directory, { withFileTypes: true })).filter(entry => !isSkipped(entry.name))
  const found = entries.map(async entry => {
    const child = join(directory, entry.name)
    if (await isDirectory(entry, child)) return walk(child, path)
    return isTaskFile(entry.name) ? [child] : []
  })
  return (await Promise.all(found)).flat()
}

async function isDirectory(entry: Dirent, path: string): Promise<boolean> {
  if (!entry.isSymbolicLink()) return entry.isDirectory()
  // A broken link counts as a file, so that its import reports the problem.
  return stat(path).then(
    target => target.isDirectory(),
    () => false
  )
}

function isSkipped(name: string): boolean {
  return name.startsWith('_') || name.startsWith('.') || name === 'node_modules'
}

function isTaskFile(name: string): boolean {
  return SOURCE.test(name) && !DECLARATION.test(name) && !TEST.test(name)
}

function cannotRead(path: string, error: unknown): string {
  const { code, message } = error as NodeJS.ErrnoException
  if (code === 'ENOENT') return `Cannot load the tasks in ${path}: the directory does not exist\n\n${firstTask(path)}`
  if (code === 'ENOTDIR') return `Cannot load the tasks in ${path}: it is not a directory`
  return `Cannot load the tasks in ${path}: ${message}`
}

function firstTask(directory: string): string {
  return `Create a first task, ${directory}/SayHello.ts:

  import type { Task } from 'kretes'

  const SayHello: Task = async ({ name = 'World' }, { logger }) => {
    logger.info(\`Hello, \${name}\`)
  }
  export default SayHello`
}

function byName(a: TaskFile, b: TaskFile): number {
  if (a.name !== b.name) return a.name < b.name ? -1 : 1
  return a.path < b.path ? -1 : 1
}

const SOURCE = /\.(?:m?[jt]s|[jt]sx)$/
const DECLARATION = /\.d\.m?ts$/
const TEST = /(?:\.test|\.spec|_test)\.[^.]+$/
