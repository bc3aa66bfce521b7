import type { CommandContext } from '../context.ts'
import type { Arguments } from '../input/options.ts'
import { findTaskFiles } from '../input/task-files.ts'
import { oneLine } from '../terminal/sanitize.ts'
import { pairs } from '../terminal/streams.ts'

/** `kretes background tasks`: lists the task files, and says what is wrong with their names. Loads none. */
export async function listTasks(args: Arguments, { output }: CommandContext): Promise<number> {
  const directory = args.text('tasks') ?? 'tasks'
  const { files, problems } = await findTaskFiles(args)
  if (args.flag('json')) {
    const tasks = files.map(({ name, relativePath }) => ({ name, path: relativePath }))
    output.line(JSON.stringify({ tasks, problems }))
  } else {
    const rows = files.map(({ name, relativePath }) => [name, relativePath] as const)
    if (rows.length > 0) output.line(pairs(rows, output.style))
    else if (problems.length === 0) output.notice(`No task files in ${directory}`)
    for (const problem of problems) output.notice(oneLine(problem))
  }
  return problems.length === 0 ? 0 : 1
}
