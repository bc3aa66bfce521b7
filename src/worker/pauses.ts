import { nameOf, resumeCommand, toPause } from '../flow/pauses.ts'
import type { Logger } from '../logger.ts'
import type { Choice } from '../sql/flow/choice.ts'
import { listPauses } from '../sql/flow/pauses.ts'
import type { Execute } from '../sql/statement.ts'

/** Warns of pauses that hold back jobs of a worker: someone who starts one expects that it runs them. */
export async function reportPauses(execute: Execute, schema: string, choice: Choice, logger: Logger): Promise<void> {
  for (const row of await listPauses({ execute, schema, isOurs: true })) {
    const tasks = row.kind === 'task' ? [row.name] : row.tasks
    if (tasks && !tasks.some(task => choice.tasks.includes(task))) continue
    const pause = toPause(row)
    const what = nameOf(pause)
    const why = pause.reason === null ? '' : `: ${pause.reason}`
    const { since, by } = pause
    logger.warn(
      `${what[0]!.toUpperCase()}${what.slice(1)} is paused since ${since.toISOString()}, by ${by}${why}. Resume it: ${resumeCommand(pause)}`,
      { event: 'worker.paused', kind: pause.kind, name: pause.name, key: pause.key, by, reason: pause.reason }
    )
  }
}
