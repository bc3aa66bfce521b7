import type { CommandContext } from '../../context.ts'
import type { Arguments } from '../../input/options.ts'
import { actOnMany, type BulkAction } from './bulk.ts'

/** `kretes background run-now`: has jobs run that wait for their time. */
export async function runJobsNow(args: Arguments, context: CommandContext): Promise<number> {
  const action: BulkAction = {
    verb: 'run',
    done: 'Due now:',
    ofRunning: (count: string) => `${count} that a worker has were left alone`,
    act: (background, selection, options) => background.runNow(selection, options)
  }
  return await actOnMany(action, args, context)
}
