import type { PruneReport } from '../../src/ledger/prune-command.ts'
import type { CommandContext } from '../context.ts'
import { withBackground } from '../database.ts'
import type { Arguments } from '../input/options.ts'

/** `kretes background prune`: removes runs that are older than they have to be kept. */
export async function prune(args: Arguments, context: CommandContext): Promise<number> {
  const { output } = context
  const dryRun = args.flag('dry-run')
  const keepSuccesses = readRetention(args, 'keep-successes')
  const keepFailures = readRetention(args, 'keep-failures')
  const report = await withBackground(args, context, background =>
    background.prune({ keepSuccesses, keepFailures, dryRun })
  )
  output.line(args.flag('json') ? JSON.stringify({ ...report, dryRun }) : describe(report, dryRun))
  return 0
}

/** `forever`, or a duration in milliseconds. */
export function readRetention(args: Arguments, name: string): number | 'forever' | undefined {
  return args.text(name) === 'forever' ? 'forever' : args.duration(name)
}

function describe({ dropped, folded }: PruneReport, dryRun: boolean): string {
  const days =
    dropped.length === 0 ? 'no partition' : `${dropped.length} ${dropped.length === 1 ? 'partition' : 'partitions'}`
  if (dryRun) return `Would drop ${[days, ...dropped].join('\n  ')}`
  return `${[`Dropped ${days}`, ...dropped].join('\n  ')}\nFolded ${folded.toLocaleString('en')} rows of counters`
}
