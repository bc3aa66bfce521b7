import { hideInText } from './text.ts'

/**
 * Copies a value for display, as far as it is displayed, and only the parts that change.
 *
 * @param replace returns the replacement of the value of a key
 */
export function copyToShow(root: unknown, replace: (key: string, value: unknown) => unknown): unknown {
  const copies = new Map<object, unknown>()
  let left = MOST_VALUES

  function copy(key: string, given: unknown, depth: number): unknown {
    const value = replace(key, given)
    if (typeof value === 'string') return hideInText(value.slice(0, LONGEST_TEXT))
    if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return value
    if (copies.has(value)) return copies.get(value)
    if (depth > DEEPEST || left-- <= 0) return '…'
    const [copied, isChanged] = isCollection(value) ? copyItems(value, depth + 1) : copyProperties(value, depth + 1)
    copies.set(value, isChanged ? copied : value)
    return isChanged ? copied : value
  }

  function copyItems(value: Collection, depth: number): [copied: object, isChanged: boolean] {
    const copied: Collection = value instanceof Map ? new Map() : new Set()
    copies.set(value, copied)
    let isChanged = false
    for (const [key, one] of value.entries()) {
      const item = copy(value instanceof Map && typeof key === 'string' ? key : '', one, depth)
      if (item !== one) isChanged = true
      if (copied instanceof Map) copied.set(key, item)
      else copied.add(item)
    }
    return [copied, isChanged]
  }

  /** Getters are not called: a display does not call them either. */
  function copyProperties(value: object, depth: number): [copied: object, isChanged: boolean] {
    const copied: object = Array.isArray(value) ? [] : Object.create(Object.getPrototypeOf(value))
    copies.set(value, copied)
    const properties = Object.getOwnPropertyDescriptors(value) as Record<string, PropertyDescriptor>
    let isChanged = false
    for (const [key, property] of Object.entries(properties)) {
      if (!('value' in property)) continue
      const one = copy(key, property.value, depth)
      if (one !== property.value) isChanged = true
      property.value = one
    }
    if (value instanceof Error && typeof value.stack === 'string') {
      const stack = hideInText(value.stack)
      if (stack !== value.stack) isChanged = true
      // The getter of the stack does not work on a copy.
      properties.stack = { value: stack, configurable: true, enumerable: false, writable: true }
    }
    return [Object.defineProperties(copied, properties), isChanged]
  }

  return copy('', root, 0)
}

type Collection = Map<unknown, unknown> | Set<unknown>

function isCollection(value: object): value is Collection {
  return value instanceof Map || value instanceof Set
}

/** Deeper than any display. */
const DEEPEST = 6
const MOST_VALUES = 10_000
/** No more of a text is displayed. */
const LONGEST_TEXT = 10_000
