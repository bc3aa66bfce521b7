import { until } from '../helpers/until.ts'
import type { Databases, Filling } from './databases.ts'
import type { System } from './report.ts'
import { openStore } from './store.ts'
import { startSubject } from './subject.ts'
import type { DrainResult, DrainSettings } from './subjects/drain.ts'
import { openClientOf } from './subjects/system.ts'

/** What is drained, and for how long at most. */
export interface DrainOptions {
  fillings: readonly Filling[]
  /** Jobs that run before the clock starts. */
  warmUp: number
  limitMs: number
  /** Whether jobs that are done are kept, where that can be chosen. */
  keepsDone?: boolean
}

/** Fills a fresh store and has one worker run its jobs. Those that have run must be done there, too. */
export async function drain(
  databases: Databases,
  system: System,
  { fillings, warmUp, limitMs, keepsDone = false }: DrainOptions
): Promise<DrainResult> {
  const trivial = fillings.filter(({ task }) => task === 'Trivial')
  const count = trivial.reduce((sum, filling) => sum + filling.count, 0)
  await using store = await openStore(databases, system, fillings)
  await using worker = startSubject<DrainSettings, DrainResult>('drain', {
    system,
    url: store.url,
    count,
    warmUp,
    limitMs,
    keepsDone
  })
  const result = await worker.result
  if (result.ran === count && trivial.length === fillings.length) {
    await using client = await openClientOf(system, store.url)
    const isDone = async (): Promise<boolean> => (await client.count()) === 0
    await until(isDone, { what: `the completion of ${count} jobs by ${system}` })
  }
  return result
}
