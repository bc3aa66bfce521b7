import postgres from 'postgres'
import { findStrays, moveStray } from '../sql/database/strays.ts'
import { executeIn } from './connections/session.ts'

/**
 * Moves tables and other objects that an application has created in the schema `kretes` to `public`. In 1.0.0-beta.1
 * the search path of the embedded database began with `kretes`. An object stays if `public` has one with the same name.
 */
export async function moveStrays(url: string, onProgress: (message: string) => void): Promise<void> {
  const sql = postgres(url, { max: 1, fetch_types: false, onnotice: () => {} })
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
