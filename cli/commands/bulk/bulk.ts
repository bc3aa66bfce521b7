import { once } from 'node:events'
import process from 'node:process'
import { createInterface } from 'node:readline/promises'
import type { BackgroundClient } from '../../../src/client.ts'
import type { BulkFilter, BulkOptions, BulkResult } from '../../../src/inspector.ts'
import { JOB_STATES } from '../../../src/ledger/filter.ts'
import type { JobReference } from '../../../src/schedule.ts'
import type { CommandContext } from '../../context.ts'
import { withBackground } from '../../database.ts'
import { explainMisuse, readFilter } from '../../input/filter.ts'
import type { Arguments } from '../../input/options.ts'
import { UsageError } from '../../input/usage-error.ts'
import { LOG_LEVELS } from '../../output/logger.ts'
import { delayed } from '../../signals.ts'
import { createBar } from '../../terminal/progress-bar.ts'

/** What a command does with many jobs, and the words for it. */
export interface BulkAction {
  /** As in `delete`, in questions and complaints. */
  readonly verb: string
  /** As in `Deleted`. */
  readonly done: string
  /** What is said of jobs that a worker has. */
  readonly ofRunning: (count: string) => string
  act(
    background: BackgroundClient,
    selection: readonly JobReference[] | BulkFilter,
    options: BulkOptions
  ): Promise<BulkResult>
}

/** Does something with the jobs that are named, or that a filter finds, once it is sure that they are meant. */
export async function actOnMany(action: BulkAction, args: Arguments, context: CommandContext): Promise<number> {
  const { output, stop, stopNow } = context
  const selection = readSelection(action, args)
  const isDry = args.flag('dry-run')
  let soFar: BulkResult | undefined
  let hasAnswered = false

  async function perform(background: BackgroundClient): Promise<BulkResult | undefined> {
    let expected = isNamed(selection) ? selection.length : 0
    if (!isNamed(selection)) {
      const looked = await action.act(background, selection, { dryRun: true, signal: stop })
      hasAnswered = true
      if (isDry || looked.matched === 0) return looked
      expected = looked.matched
      if (expected > 1 && !args.flag('yes') && !(await isMeant(action, expected, context))) return undefined
    }
    const show = createShow(args, context, expected)
    const onProgress = (result: BulkResult): void => {
      soFar = result
      show(result.matched)
    }
    return await action.act(background, selection, { dryRun: isDry, signal: stop, onProgress })
  }

  // The first signal ends it after the batch at hand.
  const patient = { ...context, stop: AbortSignal.any([delayed(stop, PATIENCE_MS), stopNow]) }
  // Once it has answered, it may be the person who takes long.
  const isWaiting = (): boolean => !hasAnswered && !soFar
  try {
    const act = (background: BackgroundClient) => perform(background).catch(explainMisuse)
    const result = await withBackground(args, patient, act, isWaiting)
    output.status('')
    await output.flush()
    if (!result) {
      output.notice('Nothing was changed')
      return 1
    }
    return tell(action, result, args, context)
  } catch (error) {
    if (!stop.aborted) throw error
    if (soFar) output.notice(`${action.done} ${count(soFar.changed)} by then`)
    throw stop.reason
  }
}

function readSelection({ verb }: BulkAction, args: Arguments): readonly JobReference[] | BulkFilter {
  const { words } = args
  const filter = readFilter(args, JOB_STATES)
  const isFilter = Object.keys(filter).length > 0
  const isAll = args.flag('all')
  if (words.includes('')) throw new UsageError(`Cannot ${verb} a job: key is empty`)
  if (words.length > 0 && (isFilter || isAll)) {
    throw new UsageError(`Cannot ${verb} jobs: both ids and a filter are given, and it is one or the other`)
  }
  if (words.length > 0) return words
  if (isFilter || isAll) return { ...filter, all: isAll }
  throw new UsageError(
    `Cannot ${verb} jobs: none are given. Say which, by id or key, or by --state, --task, --queue or --search; --all means all`
  )
}

function isNamed(selection: readonly JobReference[] | BulkFilter): selection is readonly JobReference[] {
  return Array.isArray(selection)
}

/** Asks on a terminal; elsewhere nobody would answer. */
async function isMeant({ verb }: BulkAction, matched: number, { output, stop }: CommandContext): Promise<boolean> {
  if (!process.stdin.isTTY || !process.stderr.isTTY) {
    throw new UsageError(
      `Cannot ${verb} ${count(matched)} unasked: this is no terminal to ask on. Add --yes to do it, or --dry-run to see how many`
    )
  }
  await output.flush()
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  try {
    // The terminal hands Ctrl-C to this reader, not to the process.
    terminal.on('SIGINT', () => process.kill(process.pid, 'SIGINT'))
    const question = `${verb.charAt(0).toUpperCase()}${verb.slice(1)} ${count(matched)}? [y/N] `
    // Ctrl-D ends the input. Which of the two tells of it depends on the runtime.
    const asked = terminal.question(question, { signal: stop }).catch(() => undefined)
    const answer = await Promise.race([asked, once(terminal, 'close').then(() => undefined)])
    stop.throwIfAborted()
    if (answer === undefined) output.notice('')
    return /^y(?:es)?$/i.test(answer?.trim() ?? '')
  } finally {
    terminal.close()
  }
}

function createShow(args: Arguments, { output }: CommandContext, expected: number): (done: number) => void {
  const level = args.choice('log-level', LOG_LEVELS) ?? 'info'
  if (level !== 'info' && level !== 'debug') return () => {}
  const show = createBar(output)
  return done => show({ count: done, share: done / Math.max(expected, done) })
}

function tell(action: BulkAction, result: BulkResult, args: Arguments, { output }: CommandContext): number {
  const { matched, changed, running, missing, scheduled } = result
  const isDry = args.flag('dry-run')
  const hasFailed = changed === 0 || missing.length > 0
  if (args.flag('json')) {
    output.line(JSON.stringify({ ...result, dryRun: isDry }))
    return hasFailed ? 1 : 0
  }
  if (matched > 0) {
    const done = isDry ? `Would ${action.verb} ${count(changed)}` : `${action.done} ${count(changed)}`
    const anew = scheduled.length > 0 ? `; scheduled anew: ${scheduled.join(', ')}` : ''
    const held = running > 0 ? `; ${action.ofRunning(running.toLocaleString('en'))}` : ''
    output.line(`${done}${anew}${held}`)
  } else if (missing.length === 0) output.notice('No job is meant')
  if (missing.length > 0) output.notice(`There is no such job: ${missing.join(', ')}`)
  return hasFailed ? 1 : 0
}

function count(jobs: number): string {
  return `${jobs.toLocaleString('en')} ${jobs === 1 ? 'job' : 'jobs'}`
}

/** How long the batch at hand may take after the first signal. */
const PATIENCE_MS = 10_000
