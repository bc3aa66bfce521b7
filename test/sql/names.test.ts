import { ownSchema } from '../../src/sql/names.ts'
import { identifier, statement } from '../../src/sql/statement.ts'
import { assert, suite } from '../helpers/suite.ts'

const test = suite('the names in statements')

test('are another schema for each schema of an engine, however long', () => {
  const long = 'a'.repeat(60)
  const names = ['graphile_worker', 'tenant', `${long}1`, `${long}2`, 'ü'.repeat(30), `${'ü'.repeat(30)}o`].map(
    ownSchema
  )
  assert.equal(names.slice(0, 2), ['kretes', 'kretes_tenant'])
  assert.is(new Set(names).size, names.length)
  for (const name of names) assert.ok(Buffer.byteLength(name) <= 63, name)
})

test('may look like parameters', () => {
  const table = identifier('tenant$1')
  const part = statement`select ${'b'}::text from ${table} where name = '$1'`
  const { text, values } = statement`select ${'a'}::text union ${part}`
  assert.is(text, `select $1::text union select $2::text from "tenant$1" where name = '$1'`)
  assert.equal(values, ['a', 'b'])
})
