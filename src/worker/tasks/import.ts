import { sep } from 'node:path'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { inspect, stripVTControlCharacters } from 'node:util'
import { afterTicks } from '../../async/ticks.ts'
import { workerTimings } from '../../rules/timings.ts'
import { displayPath, type TaskFile } from './discover.ts'
import { adviceFor } from './load-advice.ts'
import type { Loader } from './loader.ts'

/** The exports of a file, or, in one line, why it could not be imported. */
export type Imported = { exported: Record<string, unknown> } | { failure: string; cause: unknown }

/** Imports a task file. A failure states the cause, the place if it is known, and the remedy if there is one. */
export async function importFile(file: TaskFile, loader: Loader): Promise<Imported> {
  const endless = Promise.withResolvers<never>()
  // The interval also keeps the process alive. Without it, a process that waits only for this import would end
  // silently.
  const deadline = afterTicks(workerTimings.importTicks, () => endless.reject(ENDLESS))
  try {
    return { exported: await Promise.race([import(pathToFileURL(file.path).href), endless.promise]) }
  } catch (cause) {
    const isEndless = cause === ENDLESS
    return { failure: isEndless ? ENDLESS.message : `cannot be loaded: ${explain(cause, file, loader)}`, cause }
  } finally {
    clearInterval(deadline)
  }
}

const ENDLESS = new Error('its top-level await does not end')

interface ErrorLike {
  readonly name: string
  readonly message: string
  readonly code?: unknown
  readonly stack?: string
  /** Where Bun could not parse a file. */
  readonly position?: { readonly file: string; readonly line: number } | null
}

interface Place {
  readonly path: string
  readonly line: number
}

function explain(thrown: unknown, file: TaskFile, loader: Loader): string {
  const error = thrown instanceof AggregateError && thrown.errors.length > 0 ? thrown.errors[0] : thrown
  if (!isErrorLike(error)) return `it throws ${inspect(error, { depth: 0, breakLength: Number.POSITIVE_INFINITY })}`
  const place = placeOf(error)
  const remedy = loader === 'node' ? adviceFor(error, file) : undefined
  return summaryOf(error) + (place ? `, at ${displayPlace(place, file)}` : '') + (remedy ? `; ${remedy}` : '')
}

function isErrorLike(error: unknown): error is ErrorLike {
  return typeof error === 'object' && error !== null && typeof (error as ErrorLike).message === 'string'
}

function summaryOf(error: ErrorLike): string {
  const text = stripVTControlCharacters(error.message)
  const rejection = ESBUILD_REJECTION.exec(text)
  if (rejection) return `SyntaxError: ${rejection[3]}`
  const summary = withoutDirectory(text.split('\n', 1)[0] ?? '').replace(/\.$/, '')
  if (STARTS_WITH_NAME.test(summary) || LOADING_CODE.test(String(error.code))) return summary
  return `${error.name === 'BuildMessage' ? 'SyntaxError' : error.name}: ${summary}`
}

function withoutDirectory(text: string): string {
  const directory = process.cwd() + sep
  return text.replaceAll(pathToFileURL(directory).href, '').replaceAll(directory, '')
}

function placeOf(error: ErrorLike): Place | undefined {
  if (error.position) return { path: error.position.file, line: error.position.line }
  const rejection = ESBUILD_REJECTION.exec(error.message)
  if (rejection) return { path: rejection[1]!, line: Number(rejection[2]) }
  for (const line of stripVTControlCharacters(error.stack ?? '').split('\n')) {
    // The frames below this file are its callers, which are not the cause.
    if (line.includes(THIS_FILE)) return
    const frame = FRAME.exec(line)
    if (!frame || /\/node_modules\//.test(line)) continue
    const path = frame[1]!
    return { path: path.startsWith('file:') ? fileURLToPath(path) : path, line: Number(frame[2]) }
  }
}

function displayPlace(place: Place, file: TaskFile): string {
  return place.path === file.path ? `line ${place.line}` : `${displayPath(place.path)}:${place.line}`
}

const THIS_FILE = decodeURI(import.meta.url.replace(/^file:\/\//, ''))

/** A place in a stack, or in the line above it that shows the source: a path or a file URL, a line and a column. */
const FRAME = /(?:^|\s|\()((?:file:\/\/)?(?:\/|[A-Za-z]:[\\/])[^()]*?):(\d+)(?::\d+)?\)?$/

/** The error of tsx for a file that cannot be parsed. */
const ESBUILD_REJECTION = /^(.+):(\d+):\d+: ERROR: (.+)$/m

/** Deno puts the name of a syntax error into the message of another error. */
const STARTS_WITH_NAME = /^\w*Error: /

/** Codes of errors of the loader itself. Their name adds nothing to their message. */
const LOADING_CODE = /^ERR_(?:MODULE_NOT_FOUND|UNSUPPORTED|UNKNOWN_FILE_EXTENSION|PACKAGE|IMPORT_ATTRIBUTE)/
