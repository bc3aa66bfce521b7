import { BackgroundError } from '../errors.ts'
import type { Access } from '../sql/statement.ts'
import { findId, type Target } from '../sql/waiting.ts'

/** The id of the job that somebody means, who may know but its key. */
export async function idOf(access: Access, target: Target): Promise<string> {
  if ('id' in target) return target.id
  const id = await findId(access, target)
  if (id !== undefined) return id
  throw new BackgroundError('JOB_GONE', `Cannot wait for the job of key ${JSON.stringify(target.key)}: there is none`)
}
