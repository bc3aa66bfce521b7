import { setTimer, type Timer } from '../../async/timer.ts'
import type { Job } from '../../job.ts'
import type { LogFields, Logger } from '../../logger.ts'
import type { Redactor } from '../../redact/redactor.ts'
import { workerTimings } from '../../rules/timings.ts'
import type { TaskContext } from '../../task.ts'
import { copyFields, show } from '../../text/thrown.ts'
import { createNotes, type Notes } from './task-log.ts'

/** Why a run ends early. The task's later result is ignored. */
export interface Interruption {
  readonly kind: 'timeout' | 'cancel' | 'uncaught'
  readonly reason: unknown
}

/** One attempt of a job. The task gets it as its context. Signal and logger are created on first access. */
export class ActiveRun implements TaskContext {
  readonly job: Job
  readonly #logger: Logger
  readonly #redactor: Redactor | undefined
  readonly #startedMs: number = performance.now()
  #controller: AbortController | undefined
  #abortReason: unknown
  #isAborted = false
  #taskLogger: Logger | undefined
  #notes: Notes | undefined
  #hasWarned = false
  #interruption: Interruption | undefined
  #giveUp: ((reason: unknown) => void) | undefined
  #timers: Timer[] | undefined
  #isOver = false

  constructor(job: Job, logger: Logger, redactor?: Redactor) {
    this.job = job
    this.#logger = logger
    this.#redactor = redactor
  }

  get attempt(): number {
    return this.job.attempts
  }

  get occurrence(): Date | null {
    return this.job.occurrence
  }

  get signal(): AbortSignal {
    if (!this.#controller) {
      this.#controller = new AbortController()
      if (this.#isAborted) this.#controller.abort(this.#abortReason)
    }
    return this.#controller.signal
  }

  get logger(): Logger {
    this.#taskLogger ??= keepLines(
      this.#logger,
      { task: this.job.task, job: this.job.id },
      (level, message, fields) => {
        if (!this.#isOver) this.#note().add(level, message, fields)
      }
    )
    return this.#taskLogger
  }

  /** Works without its context, since a task may destructure it. */
  get log(): TaskContext['log'] {
    return this.logger.info
  }

  /** Works without its context, like {@linkcode log}. */
  get progress(): TaskContext['progress'] {
    return (fraction, message) => {
      if (this.#isOver) return
      if (typeof fraction === 'number' && fraction >= 0 && fraction <= 1) this.#note().report(fraction, message)
      else this.#warnOfProgress(fraction)
    }
  }

  /** The progress and the log lines of the run; `undefined` if the task has reported none. */
  get notes(): Notes | undefined {
    return this.#notes
  }

  /** Whether the worker has asked the task to stop. */
  get isAborted(): boolean {
    return this.#isAborted
  }

  get interruption(): Interruption | undefined {
    return this.#interruption
  }

  /** How long the run has lasted so far. */
  get durationMs(): number {
    return Math.round((performance.now() - this.#startedMs) * 10) / 10
  }

  /** Runs the work. Settles when the work ends, or rejects when the run is given up. */
  perform(work: () => unknown): Promise<unknown> {
    return new Promise((resolve, reject) => {
      this.#giveUp = reject
      const ended = (settle: (value: unknown) => void) => (value: unknown) => {
        settle(value)
        // A run that is over before its task ends was given up.
        if (this.#isOver) this.#logger.warn(`${this} ended, ${this.durationMs} ms after its start`, this.#fields)
      }
      const result = work()
      if (!isThenable(result)) resolve(result)
      else result.then(ended(resolve), ended(reject))
    })
  }

  /** Aborts the task's signal. The task's result still decides about the job. */
  abort(reason: unknown): void {
    if (this.#isAborted) return
    this.#isAborted = true
    this.#abortReason = reason
    this.#controller?.abort(reason)
  }

  /** Ends the run early. A cancelled job stays cancelled; otherwise the first reason holds. */
  interrupt(interruption: Interruption): void {
    if (this.#isOver || this.#interruption?.kind === 'cancel') return
    if (this.#interruption && interruption.kind !== 'cancel') return
    this.#interruption = interruption
    this.abort(interruption.reason)
    if (interruption.kind === 'cancel') this.#warnAfter(workerTimings.cancelGraceMs)
    else this.#giveUpAfter(workerTimings.graceMs)
  }

  /** Fails the job with an uncaught error of its task, unless the job has ended already. */
  blame(error: unknown, what: string): void {
    const { task, id } = this.job
    const place = this.#isOver ? `${what}, after the job had ended` : what
    this.#logger.error(`${this} ${place}`, { event: 'job.uncaught', task, job: id, error })
    this.interrupt({ kind: 'uncaught', reason: error })
  }

  /** Interrupts the run if it is not over after this time. */
  interruptAfter(ms: number): void {
    this.#after(ms, () => {
      const reason = new DOMException(`Timed out after ${ms} ms`, 'TimeoutError')
      if (this.#interruption) this.#giveUpAfter(workerTimings.graceMs)
      else this.interrupt({ kind: 'timeout', reason })
    })
  }

  /** Marks the run as over. Later calls change nothing. */
  finish(): void {
    this.#isOver = true
    if (this.#timers) for (const timer of this.#timers) timer.clear()
  }

  toString(): string {
    return `${this.job.task} ${this.job.id}`
  }

  #note(): Notes {
    this.#notes ??= createNotes(this.#redactor)
    return this.#notes
  }

  /** An invalid progress value must not fail the job, so it is only logged, once per run. */
  #warnOfProgress(fraction: unknown): void {
    if (this.#hasWarned) return
    this.#hasWarned = true
    this.#logger.warn(`${this} reported a progress of ${show(fraction)}, which is not a number from 0 to 1`, {
      event: 'job.progress',
      task: this.job.task,
      job: this.job.id
    })
  }

  #giveUpAfter(ms: number): void {
    this.#after(ms, () => {
      this.#logger.warn(`${this} is still running: it ignores its signal, and its result will be ignored`, this.#fields)
      this.#giveUp?.(this.#interruption?.reason)
    })
  }

  /** A cancelled run is not given up: another job of its queue must not run at the same time. */
  #warnAfter(ms: number): void {
    this.#after(ms, () => {
      this.#logger.warn(`${this} was cancelled and is still running: it ignores its signal`, this.#fields)
    })
  }

  #after(ms: number, act: () => void): void {
    this.#timers ??= []
    this.#timers.push(setTimer(ms, act))
  }

  get #fields(): LogFields {
    return { event: 'job.stray', task: this.job.task, job: this.job.id, durationMs: this.durationMs }
  }
}

function isThenable(value: unknown): value is PromiseLike<unknown> {
  return typeof value === 'object' && value !== null && 'then' in value && typeof value.then === 'function'
}

function keepLines(
  logger: Logger,
  always: LogFields,
  keep: (level: keyof Logger, message: string, fields: LogFields | undefined) => void
): Logger {
  const line = (level: keyof Logger) => (message: string, given?: LogFields) => {
    const fields = given && copyFields(given)
    logger[level](message, { event: 'task.log', ...always, ...fields })
    keep(level, message, fields)
  }
  return { debug: line('debug'), info: line('info'), warn: line('warn'), error: line('error') }
}
