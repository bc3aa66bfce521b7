import type { CommandContext } from '../../context.ts'
import type { Arguments } from '../../input/options.ts'
import { actOnMany, type BulkAction } from './bulk.ts'

/** `kretes background delete`: removes jobs that no worker has. */
export async function deleteJobs(args: Arguments, context: CommandContext): Promise<number> {
  const action: BulkAction = {
    verb: 'delete',
    done: 'Deleted',
    ofRunning: (count: string) => `${count} that a worker has were left alone, and cancel stops them`,
    act: (background, selection, options) => background.delete(selection, options)
  }
  return await actOnMany(action, args, context)
}
