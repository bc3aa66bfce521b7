import { defineCommand } from '../command.ts'
import { tasks as directory, flag } from '../input/options.ts'
import { findTaskFiles } from '../input/task-files.ts'
import { fields } from '../terminal/fields.ts'
import { oneLine } from '../terminal/sanitize.ts'

/** `kretes background tasks`: lists the task files and the problems with their names. Loads none of them. */
export const tasks = defineCommand({
  usage: 'tasks',
  summary: 'List the task files',
  options: { json: flag('--json', 'Print the task files as JSON'), tasks: directory },

  async run({ options }, { output }) {
    const { files, problems } = await findTaskFiles(options.tasks)
    const rows = files.map(({ name, relativePath }) => [name, relativePath] as const)
    if (options.json) {
      output.json({ tasks: rows.map(([name, path]) => ({ name, path })), problems })
    } else {
      if (rows.length > 0) output.line(fields(rows, output.style))
      else if (problems.length === 0) output.notice(`No task files in ${options.tasks ?? 'tasks'}`)
      for (const problem of problems) output.notice(oneLine(problem))
    }
    return problems.length === 0 ? 0 : 1
  }
})
