import process from 'node:process'
import { BackgroundError } from '../src/errors.ts'
import { hideInText } from '../src/redact/text.ts'
import { show } from '../src/text/thrown.ts'
import { guardProcess } from '../src/worker/execution/uncaught.ts'
import { UsageError } from './input/usage-error.ts'
import { runProgram } from './program.ts'
import { Interrupted, interruptible, listenForSignals } from './signals.ts'
import { createOutput } from './terminal/streams.ts'

/** Runs a command line to its end. Only this function sets the exit code. */
export async function main(argv: readonly string[]): Promise<void> {
  const output = createOutput(process.stdout, process.stderr, process.env)
  const { stop, stopNow, drop } = listenForSignals()
  // After an error that was neither caught nor caused by a job, running jobs may finish, then the process ends.
  const escaped = new AbortController()
  guardProcess({
    onException(error) {
      if (escaped.signal.aborted) output.notice(show(error))
      else escaped.abort(error)
    },
    onRejection: reason => output.notice(`An unhandled rejection: ${show(reason)}`)
  })
  let exitCode: number
  try {
    const context = { env: process.env, output, stop: AbortSignal.any([stop, escaped.signal]), stopNow }
    exitCode = await interruptible(runProgram(argv, context), { stop: drop, stopNow: drop }, false)
    if (escaped.signal.aborted) exitCode = 1
  } catch (error) {
    exitCode = error instanceof UsageError ? 2 : error instanceof Interrupted ? error.exitCode : 1
    output.notice(hideInText(toLine(error, argv)))
  }
  await output.flush()
  // A task that does not stop, or an open connection, must not keep the process alive.
  process.exit(exitCode)
}

/** One line for an expected error; all details at the log level debug. */
function toLine(error: unknown, argv: readonly string[]): string {
  if (!(error instanceof Error)) return `kretes failed: ${String(error)}`
  const isMisuse = error instanceof UsageError || error instanceof Interrupted
  if (isMisuse) return error.message
  if (isDebugging(argv)) return show(error)
  return error instanceof BackgroundError
    ? error.message
    : `kretes failed: ${error.message}. Add --log-level debug to see more`
}

function isDebugging(argv: readonly string[]): boolean {
  return argv.some(
    (arg, index) => arg === '--log-level=debug' || (arg === 'debug' && argv[index - 1] === '--log-level')
  )
}
