import { encodePayload } from '../../src/enqueue/payload.ts'
import { assert, suite } from '../helpers/suite.ts'

const test = suite('payloads')
const encode = (payload: unknown): unknown => JSON.parse(encodePayload('SendEmail', payload))

test('no payload is an empty object', () => {
  assert.is(encodePayload('SendEmail', undefined), '{}')
})

test('what JSON can hold stays what it is', () => {
  const payload = {
    text: 'Zażółć „gęślą” 🚀 \u0001 \u2028',
    numbers: [0, -1, 1.5, 1e21, Number.MAX_SAFE_INTEGER],
    nested: { deep: [{ yes: true, no: false, nothing: null }] },
    'a key': { '': 1 },
    empty: [{}, []]
  }
  assert.equal(encode(payload), payload)
})

test('a Date arrives as an ISO string, and toJSON is asked', () => {
  class Money {
    toJSON(): object {
      return { amount: '12.50', currency: 'EUR' }
    }
  }
  const payload = {
    at: new Date('2026-01-02T03:04:05.678Z'),
    price: new Money(),
    page: new URL('https://example.com/')
  }
  assert.equal(encode(payload), {
    at: '2026-01-02T03:04:05.678Z',
    price: { amount: '12.50', currency: 'EUR' },
    page: 'https://example.com/'
  })
})

test('an object may be referred to twice, as long as no object contains itself', () => {
  const address = { city: 'Gdynia' }
  const payload = { from: address, to: address, all: [address, address, { again: address }] }
  assert.equal(encode(payload), payload)
})

test('an undefined property is left out, as by JSON', () => {
  assert.equal(encode({ to: 'a', cc: undefined }), { to: 'a' })
})

test('objects without a prototype, of classes and frozen ones are objects', () => {
  class Message {
    to = 'a'
  }
  for (const payload of [new Message(), Object.assign(Object.create(null), { to: 'a' }), Object.freeze({ to: 'a' })]) {
    assert.equal(encode(payload), { to: 'a' })
  }
})

const cycle: Record<string, unknown> = { child: { list: [] } }
;(cycle.child as { list: unknown[] }).list.push({ parent: cycle })
const itself: Record<string, unknown> = {}
itself.self = itself

const refused: [string, unknown, string][] = [
  ['null', null, 'the payload is null, not an object'],
  ['an array', [{ to: 'a' }], 'the payload is an array, not an object'],
  ['a string', 'admin@example.com', 'the payload is a string, not an object'],
  ['a number', 12, 'the payload is a number, not an object'],
  ['a boolean', true, 'the payload is a boolean, not an object'],
  ['a BigInt', 12n, 'the payload is a BigInt, not an object'],
  ['a function', () => {}, 'the payload is a function, not an object'],
  ['a Map', new Map([['to', 'a']]), 'payload is a Map, which JSON cannot hold'],
  ['a BigInt in it', { amount: 12n }, 'payload.amount is a BigInt, which JSON cannot hold'],
  ['a BigInt deep in it', { a: [{}, { b: 1n }] }, 'payload.a[1].b is a BigInt, which JSON cannot hold'],
  ['NaN', { amount: Number.NaN }, 'payload.amount is NaN, which JSON cannot hold'],
  ['infinity', { a: [1, -Infinity] }, 'payload.a[1] is -Infinity, which JSON cannot hold'],
  ['a function in it', { done() {} }, 'payload.done is a function, which JSON cannot hold'],
  ['a symbol in it', { kind: Symbol('x') }, 'payload.kind is a symbol, which JSON cannot hold'],
  ['undefined in an array', { list: [1, undefined] }, 'payload.list[1] is undefined, which JSON cannot hold'],
  ['a Map in it', { index: new Map() }, 'payload.index is a Map, which JSON cannot hold'],
  ['a Set in it', { index: new Set() }, 'payload.index is a Set, which JSON cannot hold'],
  ['an invalid Date', { at: new Date(Number.NaN) }, 'payload.at is an invalid Date'],
  ['itself', itself, 'payload.self refers back to an object that contains it, which JSON cannot hold'],
  [
    'a long cycle',
    cycle,
    'payload.child.list[0].parent refers back to an object that contains it, which JSON cannot hold'
  ],
  ['a NUL', { a: 'x\u0000y' }, 'payload.a holds the character U+0000, which PostgreSQL cannot hold'],
  ['a NUL in a key', { a: { 'x\u0000': 1 } }, 'payload.a holds the character U+0000, which PostgreSQL cannot hold'],
  ['half a pair', { a: ['\ud83d'] }, 'payload.a[0] holds half of a surrogate pair, which PostgreSQL cannot hold'],
  ['half a pair in a key', { '\ude80': 1 }, 'payload holds half of a surrogate pair, which PostgreSQL cannot hold'],
  ['a key of any kind', { 'a b': { c: 1n } }, 'payload["a b"].c is a BigInt, which JSON cannot hold'],
  ['what toJSON gives', { a: { toJSON: () => ({ b: 1n }) } }, 'payload.a.b is a BigInt, which JSON cannot hold']
]
for (const [what, payload, reason] of refused) {
  test(`${what} is refused, and the message names the place`, () => {
    assert.throws(
      () => encodePayload('SendEmail', payload),
      (error: unknown) => error instanceof TypeError && error.message === `Cannot schedule SendEmail: ${reason}`
    )
  })
}
