import type { Finding } from '../../src/ledger/doctor/finding.ts'
import type { CommandContext, Output } from '../context.ts'
import { withBackground } from '../database.ts'
import type { Arguments } from '../input/options.ts'
import { pairs } from '../terminal/streams.ts'

/** `kretes background doctor`: looks for what is wrong. Ends with 1 if it finds something. */
export async function doctor(args: Arguments, context: CommandContext): Promise<number> {
  const { output } = context
  const diagnosis = await withBackground(args, context, background => background.doctor())
  const { isHealthy, findings } = diagnosis
  if (args.flag('json')) output.line(JSON.stringify(diagnosis))
  else if (isHealthy) output.line('Healthy: nothing to do')
  else output.line(findings.map(finding => describe(finding, output)).join('\n\n'))
  return isHealthy ? 0 : 1
}

function describe({ code, severity, message, remedy }: Finding, { style, width }: Output): string {
  const title = `${style(severity === 'error' ? 'red' : 'yellow', severity)} ${style('bold', code)}`
  const rows = [
    ['found', message],
    ['remedy', remedy]
  ] as const
  return `${title}\n${pairs(rows, style, { indent: '  ', width })}`
}
