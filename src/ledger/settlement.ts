import { BackgroundError } from '../errors.ts'
import type { JobEnd } from '../sql/ledger/waiters.ts'

/** What somebody who waits for a job gets: a result, an error, or nothing yet. */
export type Settlement =
  | { readonly isOver: true; readonly value: unknown }
  | { readonly isOver: true; readonly error: Error }
  | { readonly isOver: false }

/** What became of a job, for who waits for its result. */
export function settle(end: JobEnd): Settlement {
  const { id, state, outcome, error, result, message } = end
  if (state !== null && state !== 'failed') return { isOver: false }
  if (state === null && outcome === 'succeeded') {
    return { isOver: true, value: result === null ? undefined : JSON.parse(result) }
  }
  return { isOver: true, error: explain(id, state, outcome, error === null ? reviveText(message) : revive(error)) }
}

/** What a job that has not ended is at, for an error's second half. */
export function describeState({ state, progress }: Pick<JobEnd, 'state' | 'progress'>): string {
  const share = progress === null ? '' : `, ${Math.round(Number(progress) * 100)} % done`
  return `${STATES[state ?? ''] ?? `it is ${state}`}${share}`
}

const STATES: Readonly<Record<string, string>> = {
  waiting: 'it waits for a worker',
  scheduled: 'its time has not come',
  running: 'it is running',
  retrying: 'it has failed and waits for its next attempt'
}

function explain(id: string, state: string | null, outcome: string | null, cause: Error | undefined): Error {
  if (state === null && outcome === 'cancelled') {
    return new BackgroundError('JOB_CANCELLED', `Cannot give the result of job ${id}: it was cancelled`)
  }
  if (state === 'failed' || FAILURES.has(outcome ?? '')) {
    const reason = cause ? `: ${cause.name}: ${firstLine(cause.message)}` : ''
    return new BackgroundError('JOB_FAILED', `Cannot give the result of job ${id}: it has failed for good${reason}`, {
      cause
    })
  }
  const reason = outcome === null ? 'there is none, and no run of it is recorded' : 'it was removed before it was done'
  const hint =
    outcome === null
      ? '. It never was, its transaction has not committed, it was removed, its run was pruned, or the worker keeps no ledger'
      : ''
  return new BackgroundError('JOB_GONE', `Cannot give the result of job ${id}: ${reason}${hint}`)
}

const FAILURES = new Set(['failed', 'timed out', 'lost'])

/** An error as the ledger has it. */
interface ErrorRecord {
  readonly name?: string
  readonly message?: string
  readonly stack?: string
  readonly cause?: ErrorRecord
  readonly errors?: readonly ErrorRecord[]
}

/** An error with the name, the message, the stack and the causes that it had where it was thrown. */
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

/** All that is there of an error whose run was not recorded: what the engine keeps. */
function reviveText(text: string | null): Error | undefined {
  if (text === null) return undefined
  const [, name, message, stack] = /^(\w+): (.*?)(?:\n( +at .*))?$/s.exec(text) ?? []
  return name === undefined ? toError({ message: text }) : toError({ name, message, stack })
}

function firstLine(text: string): string {
  const [line = ''] = text.split('\n', 1)
  return line.length > 200 ? `${line.slice(0, 199)}…` : line
}
