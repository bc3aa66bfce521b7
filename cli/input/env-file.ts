import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseEnv } from 'node:util'
import { findProject } from '../../src/database/project.ts'
import type { EnvFile, Output } from '../context.ts'

/**
 * Adds the variables of the project's `.env` to the environment. As with `node --env-file`, a variable that is already
 * there wins, even if it is empty.
 *
 * @returns the variables of the file
 */
export function readEnvFile(env: NodeJS.ProcessEnv, { notice }: Pick<Output, 'notice'>): EnvFile {
  const file = parse(join(findProject(process.cwd()), '.env'), notice)
  for (const [name, value] of Object.entries(file)) env[name] ??= value
  return file
}

function parse(path: string, notice: Output['notice']): EnvFile {
  try {
    return parseEnv(readFileSync(path, 'utf8'))
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : String(error)
    // Some projects have a directory of that name.
    if (code !== 'ENOENT' && code !== 'EISDIR') notice(`Cannot read .env: ${code}. Continuing without it`)
    return {}
  }
}
