import process from 'node:process'

/**
 * When the engine meets a migration that it cannot live with it sets the process's exit code. That is for the program
 * to do: here it is put back.
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

/** The same for what the engine does right after this call, such as with a notification. */
export function keepExitCodeOfTurn(): void {
  // Two notifications may come in one packet: what the first finds holds.
  if (process.exitCode !== MIGRATION_EXIT_CODE) void keepExitCode(() => Promise.resolve())
}
