import { hostname, userInfo } from 'node:os'
import type { PauseTarget } from '../../../src/flow/pauses.ts'
import { flag, text } from '../../input/options.ts'
import { UsageError } from '../../input/usage-error.ts'

/** The options that name what to pause or resume. */
export const targetOptions = {
  task: text('--task <name>', 'The task'),
  queue: text('--queue <name>', 'The queue'),
  limit: text('--limit <name>', 'The limit that tasks share'),
  key: text('--key <key>', 'Only one key of the task or the limit'),
  all: flag('--all', 'Everything')
}

/** Reads what to pause or resume. */
export function readTarget(
  {
    task,
    queue,
    limit,
    key,
    all
  }: Record<'task' | 'queue' | 'limit' | 'key', string | undefined> & { readonly all: boolean },
  verb: string
): PauseTarget {
  const targets: PauseTarget[] = Object.entries({ task, queue, limit }).flatMap(([kind, name]) =>
    name === undefined ? [] : [{ [kind]: name }]
  )
  if (all) targets.push({ all })
  if (targets.length !== 1) {
    const wrong = targets.length === 0 ? 'say what' : 'give only one'
    throw new UsageError(`Cannot ${verb}: ${wrong}: --task <name>, --queue <name>, --limit <name> or --all`)
  }
  return { ...targets[0]!, ...(key !== undefined && { key }) }
}

/** The person at this machine, for those who wonder later. */
export function whoAmI(): string {
  try {
    return `${userInfo().username}@${hostname()}`
  } catch {
    // The user of a container may have no name.
    return hostname()
  }
}
