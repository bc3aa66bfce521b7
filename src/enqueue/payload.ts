import { Buffer } from 'node:buffer'

/**
 * Writes the payload of a job as JSON.
 *
 * @throws {TypeError} if it is not an object, or holds a value that JSON cannot hold; the message names the place
 * @throws {RangeError} if the JSON has more than `maxBytes`
 */
export function encodePayload(task: string, payload: unknown, maxBytes: number = DEFAULT_MAX_BYTES): string {
  if (payload === undefined) return '{}'
  if (!isPlainObject(payload))
    throw new TypeError(`Cannot schedule ${task}: the payload is ${describe(payload)}, not an object`)
  const fault = findFault(payload, [])
  if (fault)
    throw new TypeError(`Cannot schedule ${task}: ${fault.keys.reduceRight(pathTo, 'payload')} ${fault.reason}`)
  const text = JSON.stringify(payload) as string | undefined
  if (!text?.startsWith('{')) {
    throw new TypeError(
      `Cannot schedule ${task}: the payload becomes ${text?.slice(0, 40) ?? 'nothing'} as JSON, not an object`
    )
  }
  // A character takes at most three bytes, so most texts need no counting.
  const bytes = text.length * 3 > maxBytes ? Buffer.byteLength(text) : 0
  if (bytes <= maxBytes) return text
  const [size, limit] = [bytes, maxBytes].map(count => count.toLocaleString('en'))
  throw new RangeError(
    `Cannot schedule ${task}: the payload has ${size} bytes, more than the ${limit} of maxPayloadBytes. ` +
      'Store it elsewhere and pass a reference'
  )
}

/** The default of `maxPayloadBytes`. */
export const DEFAULT_MAX_BYTES = 1_048_576

function isPlainObject(value: unknown): value is object {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/** A value that cannot be stored: the keys that lead to it, the innermost first, and the reason. */
interface Fault {
  readonly keys: (string | number)[]
  readonly reason: string
}

/**
 * Finds the first fault. A value that JSON would silently drop or change is a fault too. The path is built on the way
 * back, so that a payload without a fault costs nothing.
 */
function findFault(value: unknown, above: object[], key: string | number = ''): Fault | undefined {
  switch (typeof value) {
    case 'string':
      return findStringFault(value)
    case 'number':
      return Number.isFinite(value) ? undefined : toFault(`is ${value}, ${UNHELD}`)
    case 'bigint':
      return toFault(`is a BigInt, ${UNHELD}`)
    case 'function':
    case 'symbol':
      return toFault(`is a ${typeof value}, ${UNHELD}`)
    case 'object':
      return value === null ? undefined : findObjectFault(value, above, key)
    default:
      return undefined
  }
}

function findObjectFault(value: object, above: object[], key: string | number): Fault | undefined {
  if (above.includes(value)) return toFault(`refers back to an object that contains it, ${UNHELD}`)
  if (above.length > MAX_DEPTH) return toFault(`is nested more than ${MAX_DEPTH} levels deep`)
  if (value instanceof Date && Number.isNaN(value.getTime())) return toFault('is an invalid Date')
  if ('toJSON' in value && typeof value.toJSON === 'function') {
    const json: unknown = value.toJSON(String(key))
    // In a list, JSON writes null for it.
    if (json === undefined && typeof key === 'number') return toFault(`is undefined, ${UNHELD}`)
    return json === value ? findMemberFault(value, above) : findFault(json, above, key)
  }
  if (value instanceof Number || value instanceof String || value instanceof Boolean || value instanceof BigInt) {
    return findFault(value.valueOf(), above, key)
  }
  if (ArrayBuffer.isView(value) || EMPTIED.some(type => value instanceof type)) {
    return toFault(`is a ${value.constructor.name}, ${UNHELD}`)
  }
  return findMemberFault(value, above)
}

function findMemberFault(value: object, above: object[]): Fault | undefined {
  above.push(value)
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index++) {
      const item: unknown = value[index]
      const fault = item === undefined ? toFault(`is undefined, ${UNHELD}`) : findFault(item, above, index)
      if (fault) return within(fault, index)
    }
  } else {
    for (const key of Object.keys(value)) {
      const keyFault = findStringFault(key)
      if (keyFault) return keyFault
      const fault = findFault((value as Record<string, unknown>)[key], above, key)
      if (fault) return within(fault, key)
    }
  }
  above.pop()
  return undefined
}

/** PostgreSQL's `jsonb` refuses NUL characters and lone surrogates. */
function findStringFault(value: string): Fault | undefined {
  if (value.includes('\u0000')) return toFault('holds the character U+0000, which PostgreSQL cannot hold')
  if (!value.isWellFormed()) return toFault('holds half of a surrogate pair, which PostgreSQL cannot hold')
  return undefined
}

function toFault(reason: string): Fault {
  return { keys: [], reason }
}

function within(fault: Fault, key: string | number): Fault {
  fault.keys.push(key)
  return fault
}

function pathTo(path: string, key: string | number): string {
  if (typeof key === 'number') return `${path}[${key}]`
  return /^[\p{L}_$][\p{L}\p{N}_$]*$/u.test(key) ? `${path}.${key}` : `${path}[${JSON.stringify(key)}]`
}

function describe(value: unknown): string {
  if (value === null) return 'null'
  if (Array.isArray(value)) return 'an array'
  return typeof value === 'bigint' ? 'a BigInt' : `a ${typeof value}`
}

const UNHELD = 'which JSON cannot hold'

/** JSON silently turns these into empty objects. */
const EMPTIED = [Map, Set, WeakMap, WeakSet, WeakRef, Promise, RegExp, Error, ArrayBuffer, Symbol]

/** Deeper payloads would overflow the stack, here or in the database. */
const MAX_DEPTH = 1_000
