import type { Choice } from '../../src/sql/flow/choice.ts'

/** The choice of a worker that takes all jobs of some tasks. */
export function choiceOf(...tasks: string[]): Choice {
  return { tasks, versions: {}, queues: { kind: 'except', names: [] }, limited: [] }
}
