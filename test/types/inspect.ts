/** Compiled by `npm run check`, never run: what the lists and the bulk actions accept and what they refuse. */
import {
  Background,
  type BulkResult,
  type Cancellation,
  type JobDetails,
  type JobState,
  type ListedJob,
  Queue,
  type Run,
  type RunState
} from 'kretes'

async function SendEmail({ to }: { to: string }): Promise<string> {
  return to
}

export async function accepted(): Promise<void> {
  const { jobs, cursor } = await Background.jobs({ state: ['failed', 'retrying'], task: SendEmail, limit: 5 })
  const [job]: readonly ListedJob[] = jobs
  const state: JobState | undefined = job?.state
  await Background.jobs()
  await Background.jobs({ state, queue: Queue.for('email'), search: 'a', cursor })
  const { runs } = await Background.runs({ state: 'timed out', since: new Date(), job: '7', queue: 'email' })
  const [run]: readonly Run[] = runs
  const come: RunState | undefined = run?.state
  await Background.runs({ state: come })
  const details: JobDetails | undefined = await Background.job({ key: 'a' })
  await Background.job(details?.id ?? '7')

  const one: Cancellation = await Background.cancel('7')
  const scheduled: Cancellation = await Background.cancel(await Background.schedule({ task: 'SendEmail' }))
  const many: BulkResult = await Background.cancel(['7', { key: 'a' }], { limit: 5 })
  const found: BulkResult = await Background.cancel({ task: SendEmail }, { dryRun: true })
  const { changed } = await Background.retry({ state: 'failed' }, { onProgress: soFar => soFar.matched })
  await Background.delete({ all: true }, { signal: AbortSignal.timeout(5) })
  await Background.runNow(['7', { id: '8' }])
  await Background.retry('7')
  console.log(one, scheduled, many, found, changed)
}

export async function refused(): Promise<void> {
  // @ts-expect-error: a run has no such state
  await Background.runs({ state: 'waiting' })
  // @ts-expect-error: a job that is not done has no such state
  await Background.jobs({ state: 'succeeded' })
  // @ts-expect-error: there is no such condition
  await Background.delete({ taks: 'SendEmail' })
  // @ts-expect-error: one job has no options
  await Background.cancel('7', { dryRun: true })
  // @ts-expect-error: an id is text
  await Background.retry([7])
}
