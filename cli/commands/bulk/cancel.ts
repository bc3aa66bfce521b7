import { BackgroundError } from '../../../src/errors.ts'
import type { CommandContext } from '../../context.ts'
import { withBackground } from '../../database.ts'
import { explainMisuse } from '../../input/usage-error.ts'
import { type BulkInput, defineBulkCommand } from './bulk.ts'

/** `kretes background cancel`: removes waiting jobs and stops running ones. */
export const cancel = defineBulkCommand({
  usage: 'cancel [...jobs]',
  summary: 'Remove waiting jobs and stop running ones, by id, key or filter',
  examples: program => [`  $ ${program} cancel 42`],
  verb: 'cancel',
  done: 'Cancelled',
  ofRunning: count => `${count} of them running, and their workers have been told to stop them`,
  act: (background, selection, options) => background.cancel(selection, options),
  actOnOne: cancelOne
})

async function cancelOne(job: string, { options }: BulkInput, context: CommandContext): Promise<number> {
  const { output } = context
  const outcome = await withBackground(options, context, background => background.cancel(job).catch(explainMisuse))
  if (options.json) output.json({ job, outcome })
  else if (outcome === 'removed') output.line(`Removed ${job}`)
  else if (outcome === 'cancelling') output.line(`Cancelling ${job}: its worker has been told to stop it`)
  else throw new BackgroundError('JOB_GONE', `Cannot cancel ${job}: there is no such job, or it has ended`)
  return outcome === 'not found' ? 1 : 0
}
