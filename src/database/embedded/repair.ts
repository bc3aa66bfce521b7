import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import postgres from 'postgres'
import { findStrays, moveStray } from '../../sql/database/strays.ts'
import { executeIn } from '../session.ts'
import type { Cluster } from './cluster.ts'
import { nullIf } from './failure.ts'
import { SEARCH_PATH } from './start.ts'

/** Whether 1.0.0-beta.1 was the last to start a server on a data directory. */
export async function wasStartedByBeta({ data }: Cluster): Promise<boolean> {
  const command = await nullIf(readFile(join(data, 'postmaster.opts'), 'utf8'), 'ENOENT')
  return command !== null && !command.includes(SEARCH_PATH)
}

/**
 * Moves to `public` what an application has created in the schema kretes: under 1.0.0-beta.1 that came first in its
 * search path. What is there already stays where it is.
 */
export async function moveStrays(
  port: number,
  { password }: Cluster,
  onProgress: (message: string) => void
): Promise<void> {
  const login = { host: '127.0.0.1', port, user: 'kretes', password, database: 'kretes' }
  const sql = postgres({ ...login, max: 1, fetch_types: false, onnotice: () => {} })
  const execute = executeIn(sql)
  try {
    const moved: string[] = []
    for (const stray of await findStrays(execute, 'kretes')) {
      try {
        await moveStray(execute, stray)
        moved.push(stray.name)
      } catch (error) {
        const reason = error instanceof Error ? error.message : String(error)
        onProgress(`Cannot move ${stray.name} from the schema kretes to public: ${reason}. It stays`)
      }
    }
    if (moved.length > 0) {
      onProgress(`Moved from the schema kretes to public, where an earlier version created it: ${moved.join(', ')}`)
    }
  } finally {
    await sql.end({ timeout: 1 })
  }
}
