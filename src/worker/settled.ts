/** What the engine's named statements do, as far as the worker must know. */
export type StatementKind = 'fetch' | 'complete' | 'fail' | 'return' | 'unlock' | 'other'

/** A statement of the engine's that the database has carried out. */
export interface Settled {
  readonly kind: StatementKind
  /** Whether it unlocked named queues. */
  readonly releasesQueues: boolean
  readonly values: readonly unknown[]
  /** Of a fetch, how many jobs it asks for. */
  readonly size?: number | undefined
}

/** What a statement does, by the name under which the engine prepares it: `complete_job_q/graphile_worker`. */
export function classify(name: string | undefined): Pick<Settled, 'kind' | 'releasesQueues'> {
  // Whatever follows: a fetch that was not known for one would lock jobs of which nobody knows when its answer is lost.
  if (name?.startsWith('get_job')) return { kind: 'fetch', releasesQueues: false }
  if (name?.startsWith('clear_stale_locks')) return { kind: 'unlock', releasesQueues: false }
  const found = name && /^(complete|fail|return)_jobs?(?:\d+)?(_q)?(?:[FN]+)?\//.exec(name)
  if (!found) return { kind: 'other', releasesQueues: false }
  return { kind: found[1] as StatementKind, releasesQueues: found[2] !== undefined }
}

/** How many jobs a fetch asks for, by its name: `get_job50/graphile_worker`. */
export function sizeOf(name: string | undefined): number | undefined {
  const found = name && /^get_job(\d*)[/]/.exec(name)
  return found ? Number(found[1] || 1) : undefined
}

/** The same statement for some of its jobs only. */
export function partOf(settled: Settled, ids: readonly string[]): Settled {
  if (ids.length === idsOf(settled).length) return settled
  const [first, second, ...rest] = settled.values
  if (settled.kind !== 'fail' || Array.isArray(first)) return { ...settled, values: [ids, second, ...rest] }
  const chosen = new Set(ids)
  const failing = JSON.parse(second as string) as { jobId: string }[]
  const chosenOnes = JSON.stringify(failing.filter(({ jobId }) => chosen.has(jobId)))
  return { ...settled, values: [first, chosenOnes, ...rest] }
}

/** The job ids among the parameters of the engine's statements; a test holds this against the real ones. */
export function idsOf({ kind, values }: Settled): readonly string[] {
  switch (kind) {
    case 'complete':
      return ([] as string[]).concat(values[0] as string | string[])
    case 'fail':
      // The engine fails jobs one by one with the details as JSON, and all at once when it is forced to stop.
      if (Array.isArray(values[0])) return values[0]
      return (JSON.parse(values[1] as string) as { jobId: string }[]).map(({ jobId }) => jobId)
    case 'return':
      return values[1] as string[]
    default:
      return []
  }
}
