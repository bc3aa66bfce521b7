import { relative } from 'node:path'
import process from 'node:process'
import { BackgroundError } from '../errors.ts'
import { chooseDatabase } from './choose.ts'

/**
 * Makes sure that there is a database before a lookup: a lookup never creates the embedded one.
 *
 * @param doing the lookup, as in `list jobs`
 * @throws {BackgroundError} `NO_DATABASE` if there is none
 */
export async function requireDatabase(connection: Parameters<typeof chooseDatabase>[0], doing: string): Promise<void> {
  if (chooseDatabase(connection, process.env).origin !== 'embedded') return
  const { findProject, hasEmbedded, homeOf } = await import('./embedded.ts')
  const project = findProject(process.cwd())
  if (await hasEmbedded(project)) return
  throw new BackgroundError(
    'NO_DATABASE',
    `Cannot ${doing}: there is no database in ${relative('.', homeOf(project))}/ yet. Start a worker or schedule a job, which creates it, or name another database with DATABASE_URL`
  )
}
