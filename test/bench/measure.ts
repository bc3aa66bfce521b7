import type { Databases } from './databases.ts'
import type { Finding, Peer, Row, System } from './report.ts'

/** What a measure works with. */
export interface Bench {
  readonly databases: Databases
  /** Those that this machine can run. */
  readonly peers: readonly Peer[]
  /** Whether small numbers will do. */
  readonly isQuick: boolean
}

/** One of the things that are measured. */
export interface Measure {
  readonly name: string
  readonly description: string
  run(bench: Bench): Promise<Finding>
}

/** A row that has no samples yet. */
export function createRow(label: string, unit: string, better: Row['better']): Row {
  return { label, unit, better, samples: {} }
}

/** Adds a sample to a row. */
export function addSample(row: Row, system: System, value: number): void {
  row.samples[system] = [...(row.samples[system] ?? []), value]
}

/**
 * Takes turns: A B C, then B C A, and so on, so that neither a slow minute of the machine nor a neighbour in the order
 * falls upon one of them alone.
 */
export async function interleave<Subject>(
  rounds: number,
  subjects: readonly Subject[],
  sample: (subject: Subject) => Promise<void>
): Promise<void> {
  for (let round = 0; round < rounds; round++) {
    for (const index of subjects.keys()) await sample(subjects[(index + round) % subjects.length] as Subject)
  }
}
