import { defineCommand } from '../command.ts'
import { withBackground } from '../database.ts'
import { databaseUrl, flag } from '../input/options.ts'

/** `kretes background migrate`: updates the schema, for deployments whose runtime role may not. */
export const migrate = defineCommand({
  usage: 'migrate',
  summary: "Update the database's schema",
  options: { json: flag('--json', 'Print the outcome as JSON'), databaseUrl },

  async run({ options }, context) {
    const { output } = context
    const report = await withBackground(options, context, background => background.migrate())
    const { hasChanged, engine, kretes } = report
    if (options.json) output.json(report)
    else output.line(`${hasChanged ? 'Migrated' : 'Up to date'}: engine ${engine}, kretes ${kretes}`)
    return 0
  }
})
