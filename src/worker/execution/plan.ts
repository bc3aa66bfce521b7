import { compileBackoff, type DelayOf } from '../../backoff.ts'
import { toTimeLimit } from '../../duration.ts'
import { limitsOf, type NamedLimit } from '../../limit/lane.ts'
import { type AnyTask, optionsOf, type TaskContext } from '../../task.ts'

/** The settings with which the jobs of a task run. */
export interface Plan {
  readonly timeoutMs: number | undefined
  readonly delayOf: DelayOf
  /** Its limits by their names in the database. */
  readonly limits: readonly NamedLimit[]
  readonly onFailure: ((error: unknown, context: TaskContext, input: never) => unknown) | undefined
}

/** Creates a function that returns the plan of a task. It compiles each plan once. */
export function createPlanner(fallback: DelayOf): (name: string, task: AnyTask) => Plan {
  const plans = new WeakMap<AnyTask, Plan>()
  return (name, task) => {
    const known = plans.get(task)
    if (known) return known
    const { backoff, timeout, limit, onFailure } = optionsOf(task)
    const plan: Plan = {
      timeoutMs: timeout === undefined ? undefined : toTimeLimit(timeout, 'run a task', 'timeout'),
      delayOf: backoff === undefined ? fallback : compileBackoff(backoff, 'run a task'),
      limits: limitsOf(name, limit),
      onFailure
    }
    plans.set(task, plan)
    return plan
  }
}
