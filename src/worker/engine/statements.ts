/** A request of the engine to its database, by what the worker does with it. */
export type EngineRequest =
  | { readonly kind: 'claim' }
  /** Jobs whose runs have ended. An error is the engine's own: it failed the job without a run. */
  | { readonly kind: 'settle'; readonly jobs: readonly { readonly id: string; readonly error?: string }[] }
  | { readonly kind: 'give back'; readonly ids: readonly string[] }
  | { readonly kind: 'unlock stale' }
  /** The engine is forced to stop and fails its running jobs. The worker ignores this: it decides itself. */
  | { readonly kind: 'abandon' }
  | { readonly kind: 'other' }

/** A statement as the engine passes it to node-postgres. */
export interface EngineStatement {
  readonly text: string
  readonly values?: readonly unknown[] | undefined
  readonly name?: string | undefined
}

/** Recognizes a request by the name of the engine's statement. A test checks this against the installed engine. */
export function recognizeStatement({ name, values = [] }: EngineStatement): EngineRequest {
  const [first, second] = values
  const known = name?.replace(/\/.*$/s, '') ?? ''
  // A prefix, since names vary. A fetch that is taken for another request would lock jobs that the worker does not
  // know.
  if (known.startsWith('get_job')) return { kind: 'claim' }
  if (known.startsWith('clear_stale_locks')) return { kind: 'unlock stale' }
  if (/^complete_jobs?(_q)?$/.test(known)) {
    return { kind: 'settle', jobs: [first as string | string[]].flat().map(id => ({ id })) }
  }
  if (/^fail_job(_q)?$/.test(known)) {
    const failed = JSON.parse(second as string) as { jobId: string; message?: string }[]
    return {
      kind: 'settle',
      jobs: failed.map(({ jobId, message = 'The engine failed it' }) => ({ id: jobId, error: message }))
    }
  }
  if (/^return_job(_q)?$/.test(known)) return { kind: 'give back', ids: second as string[] }
  return { kind: known === 'fail_jobs' ? 'abandon' : 'other' }
}
