import { hostname, userInfo } from 'node:os'
import type { PauseTarget } from '../../../src/flow/pauses.ts'
import { flag, text } from '../../input/options.ts'
import { UsageError } from '../../input/usage-error.ts'

/** The options that name what to pause or resume. */
export const targetOptions = {
  task: text('--task <name>', 'The task'),
  queue: text('--queue <name>', 'The queue'),
  all: flag('--all', 'Everything')
}

/** Reads what to pause or resume. */
export function readTarget(
  { task, queue, all }: { task: string | undefined; queue: string | undefined; all: boolean },
  verb: string
): PauseTarget {
  const targets = [...(task === undefined ? [] : [{ task }]), ...(queue === undefined ? [] : [{ queue }])]
  const given: readonly PauseTarget[] = all ? [...targets, { all }] : targets
  if (given.length === 1) return given[0]!
  const wrong = given.length === 0 ? 'say what' : 'give only one'
  throw new UsageError(`Cannot ${verb}: ${wrong}: --task <name>, --queue <name> or --all`)
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
