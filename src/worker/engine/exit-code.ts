import process from 'node:process'

/**
 * When the engine finds at its start a migration that it cannot live with, it sets the process's exit code. That is for
 * the program to do: here it is put back.
 */
const MIGRATION_EXIT_CODE = 57

/** Puts the exit code back once the work has ended, if the engine has set it. */
export async function keepExitCode<Result>(work: () => Promise<Result>): Promise<Result> {
  const { exitCode } = process
  try {
    return await work()
  } finally {
    if (process.exitCode === MIGRATION_EXIT_CODE) process.exitCode = exitCode
  }
}
