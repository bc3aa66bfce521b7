import { codeOf, explainFailure, isConnectionFailure } from '../../src/database/failure.ts'
import { BackgroundError } from '../../src/errors.ts'
import { createDatabase } from '../helpers/database.ts'
import { assert, suite } from '../helpers/suite.ts'

const test = suite('failures of the database')
const coded = (code: string): Error => Object.assign(new Error(`as ${code}`), { code })

test('are put into words, with the original as their cause', () => {
  const original = coded('ECONNREFUSED')
  const error = explainFailure(original, 'schedule SendEmail', 'ada@host/app')
  assert.instance(error, BackgroundError)
  const { code, message, cause } = error as BackgroundError
  assert.is(code, 'DATABASE_UNAVAILABLE')
  assert.is(
    message,
    'Cannot schedule SendEmail: nothing listens at ada@host/app (ECONNREFUSED). Is PostgreSQL running there?'
  )
  assert.is(cause, original)
})

test('that are known already, or are the statement’s own, stay as they are', () => {
  const known = new BackgroundError('CLOSED', 'Cannot schedule A: this Background was closed')
  for (const error of [known, coded('23505'), new Error('no code'), 'a string', undefined]) {
    assert.is(explainFailure(error, 'schedule A', 'host/app'), error)
  }
})

test('are named rightly whatever the label holds', () => {
  const { message } = explainFailure(coded('28P01'), 'start a worker', 'a$&b@host/app') as Error
  assert.is(message, 'Cannot start a worker: a$&b@host/app refuses the user or the password')
})

test('of several addresses are known by the first', () => {
  const error = new AggregateError([coded('ECONNREFUSED'), coded('ETIMEDOUT')])
  assert.is(codeOf(error), 'ECONNREFUSED')
  assert.is(codeOf(Object.assign(error, { code: 'EHOSTUNREACH' })), 'EHOSTUNREACH')
  assert.ok(isConnectionFailure(new AggregateError([coded('ECONNREFUSED')])))
})

test('are the connection’s or the statement’s', () => {
  for (const code of ['ECONNRESET', '57P01', '57P02', '57P03', '08006', '08P01', '53300', 'CONNECTION_CLOSED']) {
    assert.ok(isConnectionFailure(coded(code)), code)
  }
  assert.ok(isConnectionFailure(new Error('Connection terminated unexpectedly')))
  assert.ok(isConnectionFailure(new Error('timeout exceeded when trying to connect')))
  for (const code of ['28P01', '3D000', '42501', '23505', '42P01', '40P01', '22P05']) {
    assert.not.ok(isConnectionFailure(coded(code)), code)
  }
  for (const error of [new Error('other'), undefined, null, 'x']) assert.not.ok(isConnectionFailure(error))
})

test('of a real server carry the codes that are looked for', async () => {
  const { sql } = await createDatabase()
  const codes = await Promise.all(
    [sql`select 1 / 0`, sql`select * from missing`, sql`select missing()`, sql`select * from missing.table`].map(
      query => query.then(() => 'none', codeOf)
    )
  )
  assert.equal(codes, ['22012', '42P01', '42883', '42P01'])
})
