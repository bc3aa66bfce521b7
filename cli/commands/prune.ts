import type { PruneReport } from '../../src/ledger/prune.ts'
import { counted } from '../../src/text/amounts.ts'
import { defineCommand } from '../command.ts'
import { withBackground } from '../database.ts'
import { databaseUrl, flag, retention } from '../input/options.ts'

/** `kretes background prune`: removes runs that are older than they have to be kept. */
export const prune = defineCommand({
  usage: 'prune',
  summary: 'Remove old runs from the ledger, as workers do',
  options: {
    ...retention,
    dryRun: flag('--dry-run', 'Remove nothing, only show what would be removed'),
    json: flag('--json', 'Print the outcome as JSON'),
    databaseUrl
  },

  async run({ options }, context) {
    const { keepSuccesses, keepFailures, dryRun } = options
    const report = await withBackground(options, context, background =>
      background.prune({ keepSuccesses, keepFailures, dryRun })
    )
    if (options.json) context.output.json({ ...report, dryRun })
    else context.output.line(describe(report, dryRun))
    return 0
  }
})

function describe({ dropped, folded }: PruneReport, dryRun: boolean): string {
  const partitions = [dropped.length === 0 ? 'no partition' : counted(dropped.length, 'partition'), ...dropped]
  if (dryRun) return `Would drop ${partitions.join('\n  ')}`
  return `Dropped ${partitions.join('\n  ')}\nFolded ${folded.toLocaleString('en')} rows of counters`
}
