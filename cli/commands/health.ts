import type { CAC } from 'cac'
import type { CommandContext } from '../context.ts'
import type { Arguments } from '../input/options.ts'
import { doctor } from './doctor.ts'
import { prune } from './prune.ts'
import { status } from './status.ts'
import { why } from './why.ts'

/** The commands that tell how things stand. */
export const healthActions: Readonly<Record<string, (args: Arguments, context: CommandContext) => Promise<number>>> = {
  status,
  why,
  doctor,
  prune
}

/** Defines them. */
export function defineHealthCommands(cli: CAC): void {
  const databaseUrl = ['--database-url <url>', 'The database (default: DATABASE_URL, PG*, or one in .kretes/)'] as const
  cli
    .command('status', 'Show tasks, queues and workers')
    .option('--watch', 'Keep showing them, until Ctrl-C')
    .option('--window <duration>', 'How far back runs are counted (default: 1h)')
    .option('--json', 'Print them as JSON, with --watch a line each time')
    .option(...databaseUrl)
    .example(name => `  $ ${name} status --watch --window 5m`)
  cli
    .command('why <job>', 'Tell why a job is not running, by id or key')
    .option('--json', 'Print the reasons as JSON')
    .option(...databaseUrl)
    .example(name => `  $ ${name} why 42`)
  cli
    .command('doctor', 'Look for what is wrong, and say what to do; exits with 1 if it finds something')
    .option('--json', 'Print what it finds as JSON')
    .option(...databaseUrl)
  cli
    .command('prune', 'Remove old runs from the ledger; workers do so by themselves')
    .option('--keep-successes <duration>', 'For how long to keep runs that did not fail, or forever (default: 7d)')
    .option('--keep-failures <duration>', 'For how long to keep runs that failed, or forever (default: 30d)')
    .option('--dry-run', 'Only tell what would be removed')
    .option('--json', 'Print the outcome as JSON')
    .option(...databaseUrl)
}
