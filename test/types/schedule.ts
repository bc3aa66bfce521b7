/** Compiled by `npm run check`, never run: what `Background.schedule` accepts and what it refuses. */
import {
  Background,
  createBackground,
  defineTask,
  type Job,
  Queue,
  type RecurringJob,
  type ScheduledJob,
  type Scheduler,
  type StandardSchema,
  type Task
} from 'kretes'

interface Address {
  to: string
  subject?: string
}

const Untyped: Task = async () => {}
const Required: Task<Address> = async ({ to }) => to.length
const Counting: Task<Address, number> = async ({ to }) => to.length
const Optional: Task<{ subject?: string }> = async () => {}
const Nothing: Task<Record<never, never>> = async () => {}
const Defined = defineTask({ name: 'Defined', run: async (input: Address) => input.to, queue: Queue.for('email') })
async function Plain({ to }: Address): Promise<string> {
  return to
}
const Bare = async (): Promise<void> => {}

declare const schema: StandardSchema<{ at: string }, { at: Date }>
const Parsing = defineTask({ name: 'Parsing', schema, run: ({ at }) => at.getTime(), priority: 3, queue: null })
declare const lenient: StandardSchema<{ at?: string }, { at: string }>
const Lenient = defineTask({ name: 'Lenient', schema: lenient, run: ({ at }) => at.length })

export async function accepted(): Promise<void> {
  const job: Job = await Background.schedule({ task: Untyped })
  await Background.schedule({ task: Untyped, payload: { anything: [1, { nested: true }] } })
  await Background.schedule({ task: Required, payload: { to: 'a' } })
  await Background.schedule({ task: Required, payload: { to: 'a', subject: 'b' }, queue: Queue.random() })
  await Background.schedule({ task: Optional })
  await Background.schedule({ task: Optional, payload: {} })
  await Background.schedule({ task: Optional, payload: { subject: 'b' } })
  await Background.schedule({ task: Nothing })
  await Background.schedule({ task: Defined, payload: { to: 'a' } })
  await Background.schedule({ task: Plain, payload: { to: 'a' } })
  await Background.schedule({ task: Bare })
  await Background.schedule({ task: 'SendEmail', payload: { to: 'a' } })
  await Background.schedule({ task: 'SendEmail' })
  await Background.schedule<Address>({ task: 'SendEmail', payload: { to: 'a' } })

  await Background.schedule({ task: Parsing, payload: { at: '2030-01-01' } })
  await Background.schedule({ task: Lenient })
  await Background.schedule({ task: Untyped, runAt: new Date(), priority: -1, maxAttempts: 3 })
  await Background.schedule({ task: Untyped, runAt: '2030-01-01T00:00:00Z', key: 'a', keyMode: 'preserveRunAt' })
  for (const delay of [5, '5m', { minutes: 5 }]) await Background.schedule({ task: Untyped, delay, queue: null })

  const jobs: Job[] = await Background.scheduleMany([
    { task: Required, payload: { to: 'a' } },
    { task: Optional, priority: 1 },
    { task: 'ByName', payload: { anything: 1 }, key: 'a' }
  ])
  const count: number = await Background.scheduleMany({ task: Untyped, payloads: [{}] }, { returning: false })
  count satisfies number
  const flag: boolean = Date.now() > 0
  const either: number | Job[] = await Background.scheduleMany([{ task: Untyped }], { returning: flag })
  const eitherAlike: number | Job[] = await Background.scheduleMany(
    { task: Untyped, payloads: [{}] },
    { returning: flag }
  )
  // @ts-expect-error it may be their number
  const surely: Job[] = await Background.scheduleMany([{ task: Untyped }], { returning: flag })
  const listed: number = await Background.scheduleMany([{ task: Untyped }], { returning: false, atomic: false })
  void [either, eitherAlike, surely, listed]
  async function* addresses(): AsyncGenerator<Address> {
    yield { to: 'a' }
  }
  jobs.push(...(await Background.scheduleMany({ task: Required, payloads: addresses(), delay: '1h' })))
  jobs.push(...(await Background.scheduleMany(new Set([{ task: Required, payload: { to: 'a' } }]), { atomic: false })))

  for (const reference of [job, job.id, { id: job.id }, { key: 'a' }]) await Background.unschedule(reference)
  const moved: Job = await Background.reschedule(job, { delay: '5m', priority: 1, maxAttempts: 2 })
  moved satisfies Job
  const within: Scheduler = Background.with({ query: async () => ({ rows: [] }) })
  await within.schedule({ task: Required, payload: { to: 'a' } })

  await using background = createBackground({
    defaults: { priority: 1, queue: Queue.for('a') },
    maxPayloadBytes: 10_000,
    maxPending: 100,
    connection: new URL('postgres://localhost/jobs')
  })
  const id: string = (await background.schedule({ task: Required, payload: { to: job.id } })).id
  id satisfies string
}

/** What a task returns, its job's result is. */
export async function results(): Promise<void> {
  const given = { task: Counting, payload: { to: 'a' } }
  const length: number = await (await Background.schedule(given)).result()
  const text: string = await (await Background.schedule({ task: Plain, payload: { to: 'a' } })).result({
    timeout: '5s'
  })
  const same: string = await (await Background.schedule({ task: Defined, payload: { to: 'a' } })).result()
  const parsed: number = await (await Background.schedule({ task: Parsing, payload: { at: '' } })).result()
  const nothing: Promise<void> = (await Background.schedule({ task: Bare })).result({ signal: AbortSignal.timeout(5) })
  const unknown: unknown = await (await Background.schedule({ task: 'ByName' })).result()
  const [first, second, third] = await Background.scheduleMany([
    { task: Counting, payload: { to: 'a' } },
    { task: Plain, payload: { to: 'a' } },
    { task: 'ByName' }
  ])
  const each: [number, string, unknown] = [await first.result(), await second.result(), await third.result()]
  const many = await Background.scheduleMany({ task: Counting, payloads: [{ to: 'a' }] })
  const lengths: number[] = await Promise.all(many.map(job => job.result()))
  const within = Background.with({ query: async () => ({ rows: [] }) })
  const other: ScheduledJob<number> = await within.schedule(given)
  const elsewhere: unknown = await Background.result('1', { timeout: 5 })
  void [length, text, same, parsed, nothing, unknown, each, lengths, other, elsewhere]
  // @ts-expect-error the result is a number
  const wrong: string = await other.result()
  // @ts-expect-error a timeout is a duration
  await other.result({ timeout: true })
  // @ts-expect-error there is no such option
  await other.result({ timeuot: 5 })
  // @ts-expect-error a name says nothing of the result
  const guessed: string = await (await Background.schedule({ task: 'ByName' })).result()
  void [wrong, guessed]
}

export async function refused(): Promise<void> {
  // @ts-expect-error a payload is missing
  await Background.schedule({ task: Required })
  // @ts-expect-error a property is missing
  await Background.schedule({ task: Required, payload: {} })
  // @ts-expect-error a property has the wrong type
  await Background.schedule({ task: Required, payload: { to: 1 } })
  // @ts-expect-error the task knows no such property
  await Background.schedule({ task: Required, payload: { to: 'a', cc: 'b' } })
  // @ts-expect-error an optional property has the wrong type
  await Background.schedule({ task: Optional, payload: { subject: 1 } })
  // @ts-expect-error a payload is missing
  await Background.schedule({ task: Defined })
  // @ts-expect-error a property has the wrong type
  await Background.schedule({ task: Defined, payload: { to: null } })
  // @ts-expect-error a payload is missing
  await Background.schedule({ task: Plain })
  // @ts-expect-error a property is missing
  await Background.schedule<Address>({ task: 'SendEmail', payload: {} })
  // @ts-expect-error a payload is an object
  await Background.schedule({ task: Untyped, payload: 'text' })
  // @ts-expect-error a queue is made by Queue
  await Background.schedule({ task: Untyped, queue: 'email' })
  // @ts-expect-error a task is a function or a name
  await Background.schedule({ task: 42 })
  // @ts-expect-error there is no such option
  await Background.schedule({ task: Untyped, quue: Queue.for('email') })
  // @ts-expect-error there is nothing to schedule
  await Background.schedule({})
  // @ts-expect-error the schema takes text
  await Background.schedule({ task: Parsing, payload: { at: new Date() } })
  // @ts-expect-error the schema needs it
  await Background.schedule({ task: Parsing })
  // @ts-expect-error a time is no number
  await Background.schedule({ task: Untyped, runAt: 5 })
  // @ts-expect-error there is no such mode
  await Background.schedule({ task: Untyped, key: 'a', keyMode: 'preserve_run_at' })
  // @ts-expect-error there is no such unit
  await Background.schedule({ task: Untyped, delay: { minute: 5 } })
  // @ts-expect-error the second has the wrong payload
  await Background.scheduleMany([
    { task: Required, payload: { to: 'a' } },
    { task: Required, payload: { to: 1 } }
  ])
  // @ts-expect-error a payload is missing
  await Background.scheduleMany([{ task: Required }])
  // @ts-expect-error payloads have the wrong type
  await Background.scheduleMany({ task: Required, payloads: [{ to: 1 }] })
  // @ts-expect-error one key for many jobs would leave the last
  await Background.scheduleMany({ task: Required, payloads: [{ to: 'a' }], key: 'a' })
  // @ts-expect-error a key cannot be changed
  await Background.reschedule('1', { key: 'a' })
  // @ts-expect-error a number is no reference
  await Background.unschedule(1)
  // @ts-expect-error a transaction is an object
  Background.with('begin')
  // @ts-expect-error the schema gives a Date
  defineTask({ name: 'Wrong', schema, run: ({ at }) => at.length })
  // @ts-expect-error that is no schema
  defineTask({ name: 'Wrong', schema: {}, run: () => {} })
  // @ts-expect-error a connection is no number
  createBackground({ connection: 5432 })
}

declare const SendDigest: Task<{ user: number }>
export const digest: Promise<RecurringJob> = Background.recurring.set('digest:42', {
  task: SendDigest,
  payload: { user: 42 },
  cron: '0 9 * * *',
  timeZone: 'Europe/Berlin',
  start: new Date()
})
Background.recurring.set('report', { task: 'SendReport', every: '1h' })
// @ts-expect-error its payload is required
Background.recurring.set('digest:42', { task: SendDigest, every: '1h' })
// @ts-expect-error its payload has a shape
Background.recurring.set('digest:42', { task: SendDigest, every: '1h', payload: { user: 'all' } })
// @ts-expect-error there is no such option
Background.recurring.set('digest:42', { task: 'SendDigest', evry: '1h' })
