import { resolve } from 'node:path'
import { BackgroundError } from '../../errors.ts'
import { type AnyTask, definedNameOf } from '../../task.ts'
import { isTaskName, notATaskName } from '../../text/task-name.ts'
import { discoverTasks, displayPath, type TaskFile } from './discover.ts'
import { importFile } from './import.ts'
import { type Loader, prepareLoader } from './loader.ts'

/** The loaded tasks of a directory. */
export interface LoadedTasks {
  /** Each task by its name. */
  readonly tasks: ReadonlyMap<string, AnyTask>
  /** The files of the tasks, sorted by name. */
  readonly files: TaskFile[]
}

/**
 * Imports all task files below a directory. It checks all files and reports the problems of all of them in one error.
 *
 * @throws {BackgroundError} code `TASKS`, one message that lists every problem
 */
export async function loadTasks(directory: string): Promise<LoadedTasks> {
  const { files, problems } = await discoverTasks(directory)
  const loader = files.length > 0 ? prepareLoader(resolve(directory)) : 'native'
  const results = await Promise.all(files.map(file => loadFile(file, loader)))
  const failures = results.filter(result => 'problem' in result)
  const named = nameTasks(results.flatMap(result => ('task' in result ? [result] : [])))
  const lines = [...problems, ...failures.map(failure => failure.problem), ...named.problems].sort()
  const causes = failures.flatMap(failure => failure.causes)
  if (lines.length > 0) throw refusal(`the tasks in ${displayPath(directory)}`, lines, causes)
  return { tasks: named.tasks, files }
}

/**
 * Imports one task: from the file with its name, or else from a file whose task sets this name explicitly.
 *
 * @returns `undefined` if there is no such task
 * @throws {BackgroundError} code `TASKS` if the directory is missing or the file with its name cannot be loaded
 */
export async function loadTask(directory: string, name: string): Promise<AnyTask | undefined> {
  const { files } = await discoverTasks(directory)
  const own = files.filter(file => file.name === name)
  const candidates = own.length > 0 ? own : files
  const loader = candidates.length > 0 ? prepareLoader(resolve(directory)) : 'native'
  const results = await Promise.all(candidates.map(file => loadFile(file, loader)))
  const failure = results.find(result => 'problem' in result)
  if (failure && own.length > 0) throw refusal(`the task ${name}`, [failure.problem], failure.causes)
  return nameTasks(results.flatMap(result => ('task' in result ? [result] : []))).tasks.get(name)
}

/**
 * Checks tasks that are passed as an object, as in `{ SendEmail, ResizeImage }`, by the same rules as task files.
 *
 * @throws {BackgroundError} code `TASKS`, one message that lists every problem
 */
export function checkTasks(record: Readonly<Record<string, AnyTask>>): ReadonlyMap<string, AnyTask> {
  const invalid: string[] = []
  const found: Found[] = []
  for (const [key, task] of Object.entries(record)) {
    const problem = problemOf(task, 'its value')
    if (problem) invalid.push(`${key}: ${problem}`)
    else found.push({ place: key, name: key, task })
  }
  const { tasks, problems } = nameTasks(found)
  const lines = [...invalid, ...problems]
  if (lines.length > 0) throw refusal('the tasks', lines, [])
  return tasks
}

/** A task, and where it was found. */
interface Found {
  /** The place, as messages show it. */
  readonly place: string
  /** The file's base name or the record's key. */
  readonly name: string
  readonly task: AnyTask
}

/** Names tasks. An explicit name wins over a file name or a key. Function names do not count: minifiers change them. */
function nameTasks(found: readonly Found[]): { tasks: Map<string, AnyTask>; problems: string[] } {
  const tasks = new Map<string, AnyTask>()
  const places = new Map<string, string>()
  const problems: string[] = []
  for (const { place, name: foundName, task } of found) {
    const name = definedNameOf(task) ?? foundName
    const first = places.get(name)
    // Two files with the same name are reported before they are loaded, so only explicit names matter here.
    const isExplicit = name !== foundName || (tasks.has(name) && definedNameOf(tasks.get(name)) !== undefined)
    if (!isTaskName(name)) problems.push(`${place}: ${notATaskName(name)}`)
    else if (first && isExplicit) problems.push(`${place}: its task is named ${name}, as is that of ${first}`)
    places.set(name, first ?? place)
    tasks.set(name, task)
  }
  return { tasks, problems }
}

type Result = Found | { problem: string; causes: unknown[] }

async function loadFile(file: TaskFile, loader: Loader): Promise<Result> {
  const { name, relativePath } = file
  const imported = await importFile(file, loader)
  if ('failure' in imported) {
    return { problem: `${relativePath}: ${imported.failure}`, causes: [imported.cause] }
  }
  const task = defaultExportOf(imported.exported)
  const isMissing = task === undefined
  const problem = isMissing ? noDefaultExport(imported.exported, name) : problemOf(task, 'its default export')
  if (problem) return { problem: `${relativePath}: ${problem}`, causes: [] }
  return { place: relativePath, name, task: task as AnyTask }
}

/** A module compiled to CommonJS keeps its default export one level deeper than others. */
function defaultExportOf(exported: Record<string, unknown>): unknown {
  const value = exported.default
  const isCompiled = typeof value === 'object' && value !== null && '__esModule' in value
  return isCompiled ? (value as { default?: unknown }).default : value
}

function noDefaultExport(exported: Record<string, unknown>, name: string): string {
  const isNamed = typeof exported[name] === 'function'
  return `it has no default export${isNamed ? `; add: export default ${name}` : ''}`
}

function problemOf(task: unknown, subject: string): string | undefined {
  if (typeof task !== 'function') return `${subject} is ${kindOf(task)}, not a function`
  return /^class\b/.test(Function.prototype.toString.call(task)) ? `${subject} is a class, not a function` : undefined
}

function kindOf(value: unknown): string {
  if (value === null || value === undefined) return String(value)
  if (Array.isArray(value)) return 'an array'
  if (value instanceof Promise) return 'a promise'
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`
}

function refusal(object: string, problems: readonly string[], causes: readonly unknown[]): BackgroundError {
  const count = problems.length === 1 ? '1 problem' : `${problems.length} problems`
  const message = [`Cannot load ${object}: ${count}`, ...problems.map(problem => `  ${problem}`)].join('\n')
  if (causes.length === 0) return new BackgroundError('TASKS', message)
  const cause = causes.length === 1 ? causes[0] : new AggregateError(causes, 'Several task files cannot be loaded')
  return new BackgroundError('TASKS', message, { cause })
}
