import { BackgroundError } from '../errors.ts'
import type { JobEnd } from '../sql/ledger/waiters.ts'

/** The outcome of a job for a call that waits: a value, an error, or none yet. */
export type Outcome =
  | { readonly isOver: true; readonly value: unknown }
  | { readonly isOver: true; readonly error: Error }
  | { readonly isOver: false }

/** Reads the outcome of a job. */
export function toOutcome(end: JobEnd): Outcome {
  const { state, outcome, isOver, result, problem } = end
  if (state !== null && state !== 'failed') return { isOver: false }
  if (state === null && isOver && outcome === 'succeeded' && problem === null) {
    return { isOver: true, value: result === null ? undefined : JSON.parse(result) }
  }
  return { isOver: true, error: explain(end) }
}

/** Describes a job that has not ended, for the second half of an error. */
export function describeState({ state, progress }: Pick<JobEnd, 'state' | 'progress'>): string {
  const share = progress === null ? '' : `, ${Math.round(Number(progress) * 100)} % done`
  return `${STATES[state ?? ''] ?? `it is ${state}`}${share}`
}

const STATES: Readonly<Partial<Record<string, string>>> = {
  waiting: 'it waits for a worker',
  scheduled: 'it is not due yet',
  running: 'it is running',
  retrying: 'it waits for its next attempt'
}

function explain({ id, state, outcome, isOver, error, message, problem }: JobEnd): Error {
  const doing = `Cannot give the result of job ${id}`
  if (state === null && outcome === null) {
    const hint =
      'It never existed, its transaction has not committed, it was removed, its run was pruned, or the worker keeps no ledger'
    return new BackgroundError('JOB_GONE', `${doing}: there is none, and no run of it is recorded. ${hint}`)
  }
  if (state === null && !isOver) {
    const reason = `its end is not kept (its last recorded run: ${outcome}). It has ended since, or it was deleted`
    return new BackgroundError('JOB_GONE', `${doing}: it is gone, and ${reason}`)
  }
  if (state === null && outcome === 'succeeded') {
    return new BackgroundError('RESULT_NOT_KEPT', `${doing}: it has succeeded, but its result is not kept: ${problem}`)
  }
  if (state === null && outcome === 'cancelled') {
    return new BackgroundError('JOB_CANCELLED', `${doing}: it was cancelled`)
  }
  const cause = error === null ? reviveText(message) : revive(error)
  const reason = cause ? `: ${cause.name}: ${firstLine(cause.message)}` : ''
  return new BackgroundError('JOB_FAILED', `${doing}: it has failed for good${reason}`, { cause })
}

/** An error as the ledger keeps it. */
interface ErrorRecord {
  readonly name?: string
  readonly message?: string
  readonly stack?: string
  readonly cause?: ErrorRecord
  readonly errors?: readonly ErrorRecord[]
}

/** Restores an error with its name, message, stack and causes. */
function revive(json: string): Error {
  return toError(JSON.parse(json) as ErrorRecord)
}

function toError({ name = 'Error', message = '', stack, cause, errors }: ErrorRecord): Error {
  const options = cause && { cause: toError(cause) }
  const error = errors ? new AggregateError(errors.map(toError), message, options) : new Error(message, options)
  const define = (key: string, value: string): unknown =>
    Object.defineProperty(error, key, { value, configurable: true, writable: true })
  if (error.name !== name) define('name', name)
  const head = `${name}: ${message}`
  define('stack', stack === undefined ? head : stack.startsWith(' ') ? `${head}\n${stack}` : stack)
  return error
}

/** Restores an error from the text that the engine keeps, for a run that was not recorded. */
function reviveText(text: string | null): Error | undefined {
  if (text === null) return undefined
  const [, name, message, stack] = /^(\w+): (.*?)(?:\n( +at .*))?$/s.exec(text) ?? []
  return name === undefined ? toError({ message: text }) : toError({ name, message, stack })
}

function firstLine(text: string): string {
  const [line = ''] = text.split('\n', 1)
  return line.length > 200 ? `${line.slice(0, 199)}…` : line
}
