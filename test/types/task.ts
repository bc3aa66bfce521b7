/** Compiled by `npm run check`, never run: what a task may look like, and what it is told. */
import { defineTask, type Job, type Logger, Queue, Snooze, type Task } from 'kretes'

export const WithContext: Task<{ to: string }, number> = ({ to }, { job, attempt, signal, logger, log, progress }) => {
  job satisfies Job
  attempt satisfies number
  signal satisfies AbortSignal
  logger satisfies Logger
  log('Hello', { to })
  progress(0.5)
  progress(0.5, 'half way')
  // @ts-expect-error how far it is is a number
  progress('half way')
  return to.length
}

export const Anything: Task = ({ name, deep }) => [name, deep.er]

// A task can be called directly, as a unit test does.
declare const context: Parameters<typeof WithContext>[1]
export const result: number | Promise<number> = WithContext({ to: 'a' }, context)
const SendReceipt = defineTask({ name: 'SendReceipt', run: async (input: { to: string }) => input.to })
export const receipt: Promise<string> = SendReceipt({ to: 'a' }, context).catch(() => '')
// @ts-expect-error its input has a shape
WithContext({ to: 1 }, context)

// @ts-expect-error the result is no string
export const WrongResult: Task<{ to: string }, number> = ({ to }) => to

// @ts-expect-error an input is an object
export type WrongInput = Task<string>

// @ts-expect-error a name is missing
defineTask({ run: () => {} })
// @ts-expect-error a queue is made by Queue
defineTask({ name: 'SendEmail', run: () => {}, queue: 'email' })
// @ts-expect-error there is no such option
defineTask({ name: 'SendEmail', run: () => {}, qeue: Queue.for('email') })
// @ts-expect-error a queue needs a name
Queue.for()

defineTask({
  name: 'CallPartner',
  timeout: { minutes: 5 },
  backoff: ['5s', 60_000, { hours: 1 }],
  run: async (input: { url: string }) => input.url,
  onFailure: async (error, { job }, input) => [error, job.id, input.url.length]
})
defineTask({ name: 'CallPartner', run: () => {}, backoff: 'exponential' })
defineTask({ name: 'CallPartner', run: () => {}, backoff: { type: 'exponential', base: '2s', jitter: 0 } })
defineTask({ name: 'CallPartner', run: () => {}, backoff: { type: 'fixed', delay: '1m' } })
defineTask({ name: 'CallPartner', run: () => {}, backoff: (attempt, error) => (error ? attempt * 1_000 : '1h') })
// @ts-expect-error a fixed backoff has a delay
defineTask({ name: 'CallPartner', run: () => {}, backoff: { type: 'fixed' } })
// @ts-expect-error there is no such backoff
defineTask({ name: 'CallPartner', run: () => {}, backoff: 'linear' })
// @ts-expect-error a timeout is a duration
defineTask({ name: 'CallPartner', run: () => {}, timeout: true })
// @ts-expect-error a snooze has a length
new Snooze()

defineTask({ name: 'Nightly', cron: '0 2 * * *', timeZone: 'Europe/Berlin', missed: 'skip', run: () => {} })
defineTask({ name: 'Tick', every: { minutes: 5 }, payload: { n: 1 }, run: (input: { n: number }) => input.n })
defineTask({
  name: 'SendReport',
  run: (input: { region: string }) => input.region,
  recurring: {
    eu: { cron: '0 9 * * 1-5', timeZone: 'Europe/Berlin', payload: { region: 'eu' }, overlap: 'queue' },
    us: { every: '1d', payload: { region: 'us' }, missed: { all: 3 }, queue: Queue.for('reports') }
  }
})
// @ts-expect-error the payload has a shape
defineTask({ name: 'Tick', every: '5m', payload: { n: 'one' }, run: (input: { n: number }) => input.n })
// @ts-expect-error there is no such policy
defineTask({ name: 'Tick', every: '5m', missed: 'twice', run: () => {} })
