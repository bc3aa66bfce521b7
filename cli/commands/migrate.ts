import type { CommandContext } from '../context.ts'
import { withBackground } from '../database.ts'
import type { Arguments } from '../input/options.ts'

/** `kretes background migrate`: brings the schema up to date, for deployments whose runtime role may not. */
export async function migrateDatabase(args: Arguments, context: CommandContext): Promise<number> {
  const { output } = context
  const report = await withBackground(args, context, background => background.migrate())
  if (args.flag('json')) output.line(JSON.stringify(report))
  else output.line(`${report.hasChanged ? 'Migrated' : 'Up to date'}: engine ${report.engine}, kretes ${report.kretes}`)
  return 0
}
