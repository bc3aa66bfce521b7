import { BackgroundError } from '../errors.ts'
import { findId, type Target } from '../sql/jobs/waiting.ts'
import type { Access } from '../sql/statement.ts'

/** Finds the id of a job to wait for: a caller may know only its key. */
export async function findJobId(access: Access, target: Target): Promise<string> {
  if ('id' in target) return target.id
  const id = await findId(access, target)
  if (id !== undefined) return id
  throw new BackgroundError('JOB_GONE', `Cannot wait for the job of key ${JSON.stringify(target.key)}: there is none`)
}
