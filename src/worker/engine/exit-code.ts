import process from 'node:process'

/**
 * The exit code that the engine sets if it finds, at its start, a migration that it cannot work with. Only the program
 * may set the exit code, so it is restored here.
 */
const MIGRATION_EXIT_CODE = 57

/** Restores the exit code after the work if the engine has set it. */
export async function keepExitCode<Result>(work: () => Promise<Result>): Promise<Result> {
  const { exitCode } = process
  try {
    return await work()
  } finally {
    if (process.exitCode === MIGRATION_EXIT_CODE) process.exitCode = exitCode
  }
}
