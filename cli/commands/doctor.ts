import type { Finding } from '../../src/diagnose/doctor/finding.ts'
import { defineCommand } from '../command.ts'
import type { Output } from '../context.ts'
import { withBackground } from '../database.ts'
import { databaseUrl, flag } from '../input/options.ts'
import { fields } from '../terminal/fields.ts'

/** `kretes background doctor`: looks for problems. The exit code is 1 if there are any. */
export const doctor = defineCommand({
  usage: 'doctor',
  summary: 'Look for problems and show their remedies; exits with 1 if there are any',
  options: { json: flag('--json', 'Print the findings as JSON'), databaseUrl },

  async run({ options }, context) {
    const { output } = context
    const diagnosis = await withBackground(options, context, background => background.doctor())
    const { isHealthy, findings } = diagnosis
    if (options.json) output.json(diagnosis)
    else if (isHealthy) output.line('Healthy: nothing to do')
    else output.line(findings.map(finding => describe(finding, output)).join('\n\n'))
    return isHealthy ? 0 : 1
  }
})

function describe({ code, severity, message, remedy }: Finding, { style, width }: Output): string {
  const title = `${style(severity === 'error' ? 'red' : 'yellow', severity)} ${style('bold', code)}`
  const rows = [
    ['found', message],
    ['remedy', remedy]
  ] as const
  return `${title}\n${fields(rows, style, { indent: '  ', width })}`
}
