import type { Why } from '../../src/ledger/why.ts'
import type { CommandContext, Output } from '../context.ts'
import { withBackground } from '../database.ts'
import type { Arguments } from '../input/options.ts'
import { UsageError } from '../input/usage-error.ts'
import { oneLine } from '../terminal/sanitize.ts'
import { pairs } from '../terminal/streams.ts'

/** `kretes background why`: tells why a job is not running. */
export async function why(args: Arguments, context: CommandContext): Promise<number> {
  const { output } = context
  const [job = ''] = args.words
  const found = await withBackground(args, context, background => background.why(job).catch(explain))
  output.line(args.flag('json') ? JSON.stringify(found) : describe(found, output))
  return found.job || found.reasons[0]?.code === 'ended' ? 0 : 1
}

function describe({ job, reasons }: Why, { style, width }: Output): string {
  const title = job ? `${style('bold', oneLine(`${job.task} ${job.id}`))} is ${job.state}\n` : ''
  const rows = reasons.map(({ code, message }) => [code, message] as const)
  return `${title}${pairs(rows, style, { indent: job ? '  ' : '', width })}`
}

function explain(error: unknown): never {
  if (error instanceof TypeError || error instanceof RangeError) throw new UsageError(error.message, { cause: error })
  throw error
}
