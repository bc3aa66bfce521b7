import { existsSync } from 'node:fs'
import { createRequire } from 'node:module'
import { dirname, join } from 'node:path'
import { BackgroundError } from '../../errors.ts'

/**
 * What turns TypeScript into something that runs: Node itself, which only strips types (`node`); tsx, which knows all of
 * TypeScript and its path aliases; or a runtime that needs no help (`native`).
 */
export type Loader = 'node' | 'tsx' | 'native'

/**
 * Gets this process ready to import the files below a directory. In Node, tsx is used if the project has it installed.
 *
 * It is registered for the whole process and for good. A scope of its own would give the tasks second copies of the
 * modules that they share with the application, kretes among them; and a task may import more while it runs.
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

/** Projects by their tsconfig.json: each needs its own path aliases. */
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

/** Both kinds of modules: without `"type": "module"` in its package.json, a project's TypeScript becomes CommonJS. */
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
