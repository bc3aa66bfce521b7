import { toMilliseconds } from '../../src/duration.ts'
import type { PruneReport } from '../../src/ledger/prune-command.ts'
import type { CommandContext } from '../context.ts'
import { withBackground } from '../databases.ts'
import type { Arguments } from '../options.ts'
import { UsageError } from '../usage.ts'

/** `kretes background prune`: removes runs that are older than they have to be kept. */
export async function prune(args: Arguments, context: CommandContext): Promise<number> {
  const { output } = context
  const isDryRun = args.flag('dry-run')
  const options = { keep: readAge(args, 'keep'), keepFailures: readAge(args, 'keep-failures'), isDryRun }
  const report = await withBackground(args, context, background => background.prune(options))
  output.line(args.flag('json') ? JSON.stringify(report) : describe(report))
  return 0
}

function describe({ dropped, folded, isDryRun }: PruneReport): string {
  const days =
    dropped.length === 0 ? 'no partition' : `${dropped.length} ${dropped.length === 1 ? 'partition' : 'partitions'}`
  if (isDryRun) return `Would drop ${[days, ...dropped].join('\n  ')}`
  return `${[`Dropped ${days}`, ...dropped].join('\n  ')}\nFolded ${folded.toLocaleString('en')} rows of counters`
}

function readAge(args: Arguments, name: string): number | 'forever' | undefined {
  const text = args.text(name)
  if (text === undefined || text === 'forever') return text
  try {
    return toMilliseconds(text, `read --${name}`, 'it')
  } catch (error) {
    if (error instanceof TypeError || error instanceof RangeError) throw new UsageError(error.message, { cause: error })
    throw error
  }
}
