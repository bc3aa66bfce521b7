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

test('a boxed primitive is what it holds, and properties under symbols are left out, as by JSON', () => {
  const payload = { text: Object('a'), number: Object(1), yes: Object(true), [Symbol('aside')]: 1 }
  assert.equal(encode(payload), { text: 'a', number: 1, yes: true })
})

test('an object of a class is what its own enumerable properties are, getters of the class left out', () => {
  class Account {
    #secret = 'x'
    id = 7
    get secret(): string {
      return this.#secret
    }
  }
  assert.equal(encode({ account: new Account() }), { account: { id: 7 } })
})

test('a toJSON is asked as JSON asks it: with the key, on arrays too, and its own result as it is', () => {
  const named = { toJSON: (key: string) => `under ${key}` }
  const list = Object.assign([1, 2], { toJSON: () => ({ length: 2 }) })
  class Itself {
    a = 1
    toJSON(): object {
      return this
    }
  }
  const payload = { here: named, items: [named], list, itself: new Itself(), gone: { toJSON: () => undefined } }
  assert.equal(encode(payload), {
    here: 'under here',
    items: ['under 0'],
    list: { length: 2 },
    itself: { a: 1 }
  })
})

test('nested 1,000 levels deep is deep enough', () => {
  const text = JSON.stringify(nest(1_000))
  assert.is(encodePayload('SendEmail', nest(1_000)), text)
})

/** An object around an object, and so on. */
function nest(levels: number): object {
  let inner: object = {}
  for (let level = 0; level < levels; level++) inner = { a: inner }
  return inner
}

const cycle: Record<string, unknown> = { child: { list: [] } }
;(cycle.child as { list: unknown[] }).list.push({ parent: cycle })
const itself: Record<string, unknown> = {}
const withGap = [1, 2, 3]
delete withGap[1]
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
  ['a WeakMap in it', { index: new WeakMap() }, 'payload.index is a WeakMap, which JSON cannot hold'],
  ['a RegExp in it', { filter: { by: /x/ } }, 'payload.filter.by is a RegExp, which JSON cannot hold'],
  ['an Error in it', { cause: new TypeError('x') }, 'payload.cause is a TypeError, which JSON cannot hold'],
  ['a promise in it', { later: Promise.resolve() }, 'payload.later is a Promise, which JSON cannot hold'],
  ['bytes in it', { file: new Uint8Array(2) }, 'payload.file is a Uint8Array, which JSON cannot hold'],
  ['boxed NaN', { amount: Object(Number.NaN) }, 'payload.amount is NaN, which JSON cannot hold'],
  ['a boxed BigInt', { amount: Object(1n) }, 'payload.amount is a BigInt, which JSON cannot hold'],
  ['a boxed symbol', { kind: Object(Symbol('x')) }, 'payload.kind is a Symbol, which JSON cannot hold'],
  ['a gap in an array', { list: withGap }, 'payload.list[1] is undefined, which JSON cannot hold'],
  [
    'undefined from toJSON in an array',
    { list: [{ toJSON() {} }] },
    'payload.list[0] is undefined, which JSON cannot hold'
  ],
  ['what is too deep', nest(1_001), `payload${'.a'.repeat(1_001)} is nested more than 1000 levels deep`],
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
