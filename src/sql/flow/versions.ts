import { type Fragment, type Statement, statement } from '../statement.ts'

/** The flag of a job that a version of its task has scheduled begins with this. The version follows. */
export const VERSION = 'kretes:version '

/** The flag of each job that has a version, whichever it is. */
export const VERSIONED = 'kretes:versioned'

/** The flags of a job that a version of its task schedules. */
export function versionFlags(version: number | null): readonly string[] {
  return version === null ? [] : [VERSIONED, `${VERSION}${version}`]
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
 * without a subquery, because the server sets up each subquery in each fetch. The pattern is slow, so the common cases
 * come first: no flags, no version, and the worker's own version.
 *
 * Only a whole key of the object matches: within a text, JSON writes a quote as `\"`.
 *
 * @param job the name of the job's row
 * @param versions an expression for the worker's versions, a JSON object
 * @param task an expression for the property of the job's task there: by default its id
 */
export function isFitting(
  job: string,
  versions: Fragment | Statement,
  task: string = `${job}.task_id::text`
): Statement {
  const flags: Fragment = { sql: `${job}.flags` }
  const version = statement`(${versions} ->> ${{ sql: task }})`
  const pattern: Fragment = { sql: `'[{ ]"${VERSION}([0-9]{1,9})": true'` }
  return statement`(${flags} is null or not ${flags} ? ${{ sql: `'${VERSIONED}'` }} or ${flags} ? (${{ sql: `'${VERSION}'` }} || ${version})
            or coalesce(substring(${flags}::text from ${pattern})::int, 0) <= coalesce(${version}::int, 0))`
}

const VERSION_FLAG = /^kretes:version (\d{1,9})$/
