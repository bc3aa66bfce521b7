import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseEnv } from 'node:util'
import { findProject } from '../../src/database/embedded/project.ts'
import type { EnvFile, Output } from '../context.ts'

/**
 * Reads the project's `.env` into the environment, as `node --env-file` does: a variable that is there already wins,
 * even if it is empty.
 *
 * @returns what the file says
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
    // Some keep a directory of that name.
    if (code !== 'ENOENT' && code !== 'EISDIR') notice(`Cannot read .env: ${code}. It goes on without it`)
    return {}
  }
}
