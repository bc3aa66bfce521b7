/** What the engine asks of its database, as far as the worker answers it. */
export type Request =
  | { readonly kind: 'claim' }
  /** Jobs whose runs are over; with an error that of the engine, if it did not come to a run. */
  | { readonly kind: 'settle'; readonly jobs: readonly { readonly id: string; readonly error?: string }[] }
  | { readonly kind: 'give back'; readonly ids: readonly string[] }
  | { readonly kind: 'release stale' }
  /** It is forced to stop and fails the jobs that run: what becomes of them is not for it to say. */
  | { readonly kind: 'abandon' }
  | { readonly kind: 'other' }

/** A statement as the engine hands it to node-postgres. */
export interface EngineStatement {
  readonly text: string
  readonly values?: readonly unknown[] | undefined
  readonly name?: string | undefined
}

/** Reads a request by the name under which the engine prepares its statement; a test holds this against the real ones. */
export function readRequest({ name, values = [] }: EngineStatement): Request {
  const [first, second] = values
  const known = name?.replace(/\/.*$/s, '') ?? ''
  // With any number and flags: one that passed for another kind would lock jobs that the worker does not know of.
  if (known.startsWith('get_job')) return { kind: 'claim' }
  if (known.startsWith('clear_stale_locks')) return { kind: 'release stale' }
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
