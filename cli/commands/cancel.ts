import { BackgroundError } from '../../src/errors.ts'
import type { CommandContext } from '../context.ts'
import { withBackground } from '../databases.ts'
import type { Arguments } from '../options.ts'
import { UsageError } from '../usage.ts'

/** `kretes background cancel`: removes a job that waits, and stops one that runs. */
export async function cancel(args: Arguments, context: CommandContext): Promise<number> {
  const { output } = context
  const [job = ''] = args.words
  const outcome = await withBackground(args, context, background => background.cancel(job).catch(explain))
  if (args.flag('json')) output.line(JSON.stringify({ job, outcome }))
  else if (outcome === 'removed') output.line(`Removed ${job}`)
  else if (outcome === 'cancelling') output.line(`Cancelling ${job}: its worker has been told to stop it`)
  else throw new BackgroundError('JOB_GONE', `Cannot cancel ${job}: there is no such job, or it has ended`)
  return outcome === 'not found' ? 1 : 0
}

function explain(error: unknown): never {
  if (error instanceof TypeError || error instanceof RangeError) throw new UsageError(error.message, { cause: error })
  throw error
}
