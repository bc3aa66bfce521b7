import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { BackgroundError } from '../../errors.ts'

/**
 * The loader of TypeScript files:
 *
 * - `node`: Node itself, which only strips types
 * - `tsx`: tsx, which supports all of TypeScript and its path aliases
 * - `native`: a runtime that needs no loader
 */
export type Loader = 'node' | 'tsx' | 'native'

/**
 * Prepares this process to import the files below a directory. In Node, tsx is used if the project has it installed.
 *
 * tsx is registered for the whole process and never removed. With a separate scope, the tasks would get second copies
 * of the modules that they share with the application, such as kretes. And a task may import more files while it runs.
 *
 * @throws {BackgroundError} code `TASKS` if tsx is installed but does not start
 */
export function prepareLoader(directory: string): Loader {
  if (process.versions.bun || process.versions.deno) return 'native'
  const require = createRequire(join(directory, 'any.js'))
  if (!hasTsx(require)) return 'node'
  const tsconfig = process.env.TSX_TSCONFIG_PATH ? undefined : nearest('tsconfig.json', directory)
  if (registered.has(tsconfig)) return 'tsx'
  try {
    registerTsx(require, tsconfig)
  } catch (error) {
    throw new BackgroundError('TASKS', 'Cannot load the tasks: tsx is installed, but does not start', { cause: error })
  }
  registered.add(tsconfig)
  return 'tsx'
}

/** The tsconfig.json files for which tsx is registered. Each project needs its own path aliases. */
const registered = new Set<string | undefined>()

interface TsxApi {
  register(options: { tsconfig?: string }): unknown
}

function hasTsx(require: NodeJS.Require): boolean {
  try {
    require.resolve('tsx/esm/api')
    return true
  } catch {
    return false
  }
}

/** Registers tsx for both module systems: without `"type": "module"`, a project's TypeScript becomes CommonJS. */
function registerTsx(require: NodeJS.Require, tsconfig: string | undefined): void {
  const modules: TsxApi = require('tsx/esm/api')
  const commonJs: TsxApi = require('tsx/cjs/api')
  modules.register({ tsconfig })
  commonJs.register({ tsconfig })
}

function nearest(name: string, directory: string): string | undefined {
  const path = join(directory, name)
  if (existsSync(path)) return path
  const parent = dirname(directory)
  return parent === directory ? undefined : nearest(name, parent)
}
