import type { CommandContext } from '../../context.ts'
import type { Arguments } from '../../input/options.ts'
import { actOnMany, type BulkAction } from './bulk.ts'

/** `kretes background retry`: runs failed jobs again, now, with all their attempts before them. */
export async function retryJobs(args: Arguments, context: CommandContext): Promise<number> {
  const action: BulkAction = {
    verb: 'retry',
    done: 'Retried',
    ofRunning: (count: string) => `${count} that a worker has were left alone`,
    act: (background, selection, options) => background.retry(selection, options)
  }
  return await actOnMany(action, args, context)
}
