/** The version of a task. */
export interface TaskVersion {
  /**
   * The version of the task's payload, from 1 to 999,999,999. Raise it when the task needs what older code does not: during
   * a deployment, no worker with a lower version takes a job that this version has scheduled.
   *
   * @default none: any worker takes its jobs
   */
  version?: number
}

/** Checks the version of a task. */
export function checkVersion({ version }: TaskVersion, doing: string): void {
  if (version === undefined || (Number.isInteger(version) && version >= 1 && version <= MOST_VERSION)) return
  throw new RangeError(`Cannot ${doing}: version is ${String(version)}, not a whole number from 1 to ${MOST_VERSION}`)
}

const MOST_VERSION = 999_999_999
