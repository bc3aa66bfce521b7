import { createBackground } from '../../src/background.ts'
import { BackgroundError } from '../../src/errors.ts'
import type { SchemaIssue, StandardSchema } from '../../src/schema.ts'
import { defineTask } from '../../src/task.ts'
import { startWorker } from '../../src/worker/mod.ts'
import { onceDone } from '../helpers/cleanup.ts'
import { createDatabase } from '../helpers/database.ts'
import { assert, suite } from '../helpers/suite.ts'
import { until } from '../helpers/until.ts'
import { contextFor } from '../tasks/context.ts'

const test = suite('a task with a schema')

const { sql, url } = await createDatabase()
const background = createBackground({ connection: url })
onceDone(() => background.close())

interface Booking {
  at: string | Date
  seats?: string
}
interface Parsed {
  at: Date
  seats: number
}

/** Takes what JSON makes of a Date, and text for a number. */
const toParsed = ({ at, seats = '1' }: Booking): Parsed => ({ at: new Date(at), seats: Number(seats) })
const booking: StandardSchema<Booking, Parsed> = schemaOf<Booking, Parsed>(value => {
  const { at, seats } = value as Booking
  const issues: SchemaIssue[] = []
  if (typeof at !== 'string') issues.push({ message: `Expected text, not ${typeof at}`, path: ['at'] })
  if (seats === 'none') issues.push({ message: 'No seats', path: [{ key: 'seats' }] })
  return issues.length > 0 ? { issues } : { value: toParsed(value as Booking) }
})

const seen: Parsed[] = []
const Book = defineTask({ name: 'Book', schema: booking, run: parsed => void seen.push(parsed) })

test('stores what it was given and runs with what the schema makes of it', async () => {
  const at = new Date('2030-01-02T03:04:05Z')
  const { id } = await background.schedule({ task: Book, payload: { at, seats: '12' } })
  const [row] = await sql`select payload from graphile_worker._private_jobs where id = ${id}`
  assert.equal(row, { payload: { at: at.toISOString(), seats: '12' } })
  const worker = await startWorker({ connection: url, tasks: { Book } })
  await until(() => seen.length > 0)
  await worker.stop()
  assert.equal(seen, [{ at, seats: 12 }])
})

test('refuses a payload with the path and the reason of all that is wrong, and sends nothing', async () => {
  const error = await background
    .schedule({ task: Book, payload: { at: 7 as never, seats: 'none' } })
    .catch(thrown => thrown)
  assert.instance(error, BackgroundError)
  assert.is(error.code, 'INVALID_PAYLOAD')
  assert.is(error.message, 'Cannot schedule Book: payload.at: Expected text, not number; payload.seats: No seats')
  assert.is(error.cause.length, 2)
  assert.is((await sql`select from graphile_worker.jobs`).length, 0)
})

test('fails a run whose payload came by another way', async () => {
  const error = await Promise.resolve(Book({ at: '2030-01-01', seats: 'none' }, contextFor('Book'))).catch(
    (thrown: unknown) => thrown
  )
  assert.instance(error, BackgroundError)
  assert.is((error as BackgroundError).message, 'Cannot run Book: payload.seats: No seats')
})

test('may have a schema that takes its time', async () => {
  const slow = schemaOf<{ to: string }, { to: string }>(async value => {
    const { to } = value as { to?: string }
    return to ? { value: { to } } : { issues: [{ message: 'Required', path: ['list', 0, 'a key', 'to'] }] }
  })
  const Slow = defineTask({ name: 'Slow', schema: slow, run: ({ to }) => to })
  assert.is((await background.schedule({ task: Slow, payload: { to: 'a' } })).task, 'Slow')
  const error = await background.schedule({ task: Slow, payload: {} as never }).catch(thrown => thrown)
  assert.is(error.message, 'Cannot schedule Slow: payload.list[0]["a key"].to: Required')
  const many = await background
    .scheduleMany({ task: Slow, payloads: [{ to: 'b' }, { to: '' }] })
    .catch(thrown => thrown)
  assert.is(many.code, 'INVALID_PAYLOAD')
})

test('is not defined with anything else as schema', () => {
  assert.throws(
    () => defineTask({ name: 'Bad', schema: {} as never, run: () => {} }),
    (error: unknown) =>
      error instanceof TypeError && error.message === 'Cannot define Bad: schema does not implement Standard Schema'
  )
})

function schemaOf<Input, Output>(
  validate: StandardSchema<Input, Output>['~standard']['validate']
): StandardSchema<Input, Output> {
  return { '~standard': { version: 1, vendor: 'test', validate } }
}
