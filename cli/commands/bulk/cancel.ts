import { BackgroundError } from '../../../src/errors.ts'
import type { CommandContext } from '../../context.ts'
import { withBackground } from '../../database.ts'
import { explainMisuse } from '../../input/filter.ts'
import type { Arguments } from '../../input/options.ts'
import { actOnMany, type BulkAction } from './bulk.ts'

/** `kretes background cancel`: removes jobs that wait, and stops those that run. */
export async function cancel(args: Arguments, context: CommandContext): Promise<number> {
  const isOne =
    args.words.length === 1 && !['state', 'task', 'queue', 'search'].some(name => args.text(name) !== undefined)
  if (isOne && !args.flag('all') && !args.flag('dry-run')) return await cancelOne(args, context)
  const action: BulkAction = {
    verb: 'cancel',
    done: 'Cancelled',
    ofRunning: (count: string) => `${count} of them running, and their workers have been told to stop them`,
    act: (background, selection, options) => background.cancel(selection, options)
  }
  return await actOnMany(action, args, context)
}

async function cancelOne(args: Arguments, context: CommandContext): Promise<number> {
  const { output } = context
  const [job = ''] = args.words
  const outcome = await withBackground(args, context, background => background.cancel(job).catch(explainMisuse))
  if (args.flag('json')) output.line(JSON.stringify({ job, outcome }))
  else if (outcome === 'removed') output.line(`Removed ${job}`)
  else if (outcome === 'cancelling') output.line(`Cancelling ${job}: its worker has been told to stop it`)
  else throw new BackgroundError('JOB_GONE', `Cannot cancel ${job}: there is no such job, or it has ended`)
  return outcome === 'not found' ? 1 : 0
}
