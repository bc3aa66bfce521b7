import type { BackgroundClient } from '../../../src/client.ts'
import type { BulkOptions, BulkResult } from '../../../src/manage/bulk.ts'
import type { BulkFilter } from '../../../src/manage/selection.ts'
import type { JobReference } from '../../../src/reference.ts'
import { JOB_STATES } from '../../../src/rules/states.ts'
import { counted } from '../../../src/text/amounts.ts'
import { type Command, defineCommand, type Input } from '../../command.ts'
import type { CommandContext } from '../../context.ts'
import { withBackground } from '../../database.ts'
import { filterOptions } from '../../input/filter.ts'
import { databaseUrl, flag } from '../../input/options.ts'
import { explainMisuse, UsageError } from '../../input/usage-error.ts'
import { withGrace } from '../../signals.ts'
import { canAsk, confirm } from '../../terminal/confirm.ts'
import { createProgressBar } from '../../terminal/progress-bar.ts'

/** A command that changes many jobs, and its words. */
export interface BulkCommand extends Pick<Command, 'usage' | 'summary' | 'examples'> {
  /** As in `delete`, for questions and errors. */
  readonly verb: string
  /** As in `Deleted`. */
  readonly done: string
  /** A note about jobs that are running. */
  readonly ofRunning: (count: string) => string
  act(background: BackgroundClient, selection: Selection, options: BulkOptions): Promise<BulkResult>
  /** Replaces the action for one job. */
  readonly actOnOne?: (job: string, input: BulkInput, context: CommandContext) => Promise<number>
}

/** Jobs by id or key, or a filter. */
type Selection = readonly JobReference[] | BulkFilter

const bulkOptions = {
  ...filterOptions(JOB_STATES, 'id, key, task, error or payload'),
  all: flag('--all', 'All jobs; needed if nothing else selects jobs'),
  dryRun: flag('--dry-run', 'Change nothing, only count'),
  yes: flag('-y, --yes', 'Do not ask before more than one job is changed'),
  json: flag('--json', 'Print the result as JSON'),
  databaseUrl
}

/** The input of such a command. */
export type BulkInput = Input<typeof bulkOptions>

/** Declares a command that changes jobs by id, by key or by a filter, and asks first where a filter finds several. */
export function defineBulkCommand(command: BulkCommand): Command<typeof bulkOptions> {
  const { usage, summary, examples, actOnOne } = command
  return defineCommand({
    usage,
    summary,
    options: bulkOptions,
    ...(examples && { examples }),
    async run(input, context) {
      const selection = readSelection(command, input)
      const isOne = isNamed(selection) && selection.length === 1 && !input.options.dryRun
      if (isOne && actOnOne) return await actOnOne(input.words[0]!, input, context)
      return await actOnMany(command, selection, input, context)
    }
  })
}

async function actOnMany(
  command: BulkCommand,
  selection: Selection,
  { options }: BulkInput,
  context: CommandContext
): Promise<number> {
  const { output, stop } = context
  const { dryRun } = options
  let soFar: BulkResult | undefined
  let hasAnswered = false

  async function perform(background: BackgroundClient): Promise<BulkResult | undefined> {
    let expected = isNamed(selection) ? selection.length : 0
    if (!isNamed(selection)) {
      const found = await command.act(background, selection, { dryRun: true, signal: stop })
      hasAnswered = true
      if (dryRun || found.matched === 0) return found
      expected = found.matched
      if (expected > 1 && !options.yes && !(await confirmMany(command, expected, context))) return undefined
    }
    const show = createProgressBar(context)
    const onProgress = (result: BulkResult): void => {
      soFar = result
      show({ count: result.matched, share: result.matched / Math.max(expected, result.matched) })
    }
    return await command.act(background, selection, { dryRun, signal: stop, onProgress })
  }

  // After the first answer of the database, a long wait may be for the person who confirms. Then the notice that the
  // command waits for the database would be wrong.
  const isWaiting = (): boolean => !hasAnswered && !soFar
  const performOrExplain = (background: BackgroundClient) => perform(background).catch(explainMisuse)
  try {
    // The first signal ends the work after the current batch.
    const result = await withBackground(options, withGrace(context, GRACE_MS), performOrExplain, isWaiting)
    output.status('')
    await output.flush()
    if (result) return report(command, result, options, context)
    output.notice('Nothing was changed')
    return 1
  } catch (error) {
    if (!stop.aborted) throw error
    if (soFar) output.notice(`${command.done} ${counted(soFar.changed, 'job')} by then`)
    throw stop.reason
  }
}

function readSelection({ verb }: BulkCommand, { words, options }: BulkInput): Selection {
  const { state, task, queue, search, all } = options
  const hasFilter = all || [state, task, queue, search].some(value => value !== undefined)
  if (words.includes('')) throw new UsageError(`Cannot ${verb} a job: key is empty`)
  if (words.length > 0 && hasFilter) {
    throw new UsageError(`Cannot ${verb} jobs: both ids and a filter are given. Give one or the other`)
  }
  if (words.length > 0) return words
  if (hasFilter) return { state, task, queue, search, all }
  throw new UsageError(
    `Cannot ${verb} jobs: none are given. Say which, by id or key, or by --state, --task, --queue or --search; --all means all`
  )
}

function isNamed(selection: Selection): selection is readonly JobReference[] {
  return Array.isArray(selection)
}

async function confirmMany({ verb }: BulkCommand, matched: number, context: CommandContext): Promise<boolean> {
  const jobs = counted(matched, 'job')
  if (canAsk()) return await confirm(`${verb.charAt(0).toUpperCase()}${verb.slice(1)} ${jobs}?`, context)
  throw new UsageError(
    `Cannot ${verb} ${jobs} unasked: this is no terminal to ask on. Add --yes to do it, or --dry-run to see how many`
  )
}

function report(
  { verb, done, ofRunning }: BulkCommand,
  result: BulkResult,
  { json, dryRun }: BulkInput['options'],
  { output }: CommandContext
): number {
  const { matched, changed, running, missing, scheduled } = result
  const exitCode = changed === 0 || missing.length > 0 ? 1 : 0
  if (json) {
    output.json({ ...result, dryRun })
    return exitCode
  }
  if (matched > 0) {
    const jobs = counted(changed, 'job')
    const again = scheduled.length > 0 ? `; scheduled again: ${scheduled.join(', ')}` : ''
    const note = running > 0 ? `; ${ofRunning(running.toLocaleString('en'))}` : ''
    output.line(`${dryRun ? `Would ${verb}` : done} ${jobs}${again}${note}`)
  } else if (missing.length === 0) output.notice('No job matches')
  if (missing.length > 0) output.notice(`There is no such job: ${missing.join(', ')}`)
  return exitCode
}

/** How long the current batch may take after the first signal. */
const GRACE_MS = 10_000
