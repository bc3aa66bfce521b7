import type { Fragment } from '../statement.ts'

/** The flag of a job that a version of its task has scheduled begins with this. The version follows. */
export const VERSION = 'kretes:version '

/** The flags of a job that a version of its task schedules. */
export function versionFlags(version: number | null): readonly string[] {
  return version === null ? [] : [`${VERSION}${version}`]
}

/** The version of the task that has scheduled a job; 0 if the task had none. */
export function versionOf(flags: Readonly<Record<string, unknown>> | null): number {
  // Most jobs have no flags.
  if (flags === null) return 0
  for (const flag of Object.keys(flags)) {
    const [, version] = VERSION_FLAG.exec(flag) ?? []
    if (version !== undefined) return Number(version)
  }
  return 0
}

/**
 * An SQL condition: whether no newer version of its task than the worker's has scheduled a job. It is a plain expression,
 * without a subquery, because the server sets up each subquery in each fetch.
 *
 * @param job the name of the job's row
 * @param versions an expression for the worker's versions, a JSON object by the ids of the tasks
 */
export function isFitting(job: string, versions: string): Fragment {
  return {
    sql: `(${job}.flags is null or coalesce(substring(${job}.flags::text from '"${VERSION}(\\d{1,9})": ')::int, 0)
            <= coalesce((${versions} ->> ${job}.task_id::text)::int, 0))`
  }
}

const VERSION_FLAG = /^kretes:version (\d{1,9})$/
