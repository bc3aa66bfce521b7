import { copyToShow } from './copy.ts'
import { createNames, LONGEST_NAME, stemsOf } from './names.ts'
import { hideInUrls, REDACTED } from './text.ts'

/** Hides secrets, which it finds by their names. */
export interface Redactor {
  /**
   * Writes a value as `JSON.stringify` does, without secrets.
   *
   * @param prepare replaces values first
   * @throws what `JSON.stringify` throws
   */
  stringify(value: unknown, prepare?: (key: string, value: unknown) => unknown): string | undefined
  /** Returns a copy without secrets for display, or the value itself if it holds none. */
  copy(value: unknown): unknown
}

/**
 * Creates a redactor. A name is secret if one of its words is: `password` hides `newPassword`, `DB_PASSWORD` and
 * `user.password`. It hides the value of such a key, and the value in a pair or an object of name and value.
 *
 * @param words names to hide, besides the usual ones
 */
export function createRedactor(words: readonly string[] = []): Redactor {
  const hidesOf = createNames(words)
  const stems = stemsOf(words)

  /** Most values contain no secret name, and are written only once. */
  function isSuspect(json: string): boolean {
    const text = json.toLowerCase()
    return stems.some(stem => text.includes(stem)) || (text.includes('://') && URL_WITH_USER.test(text))
  }

  function replace(key: string, value: unknown): unknown {
    if (key !== '' && isHidden(key, value)) return REDACTED
    if (typeof value === 'string') return hideInUrls(value)
    return typeof value === 'object' && value !== null ? hideInside(value) : value
  }

  function isHidden(name: string, value: unknown): boolean {
    if (value === null || value === undefined) return false
    const hides = hidesOf(name)
    if (hides === 'nothing' || hides === 'all') return hides === 'all'
    return typeof value === 'number' ? hides === 'numbers' : typeof value !== 'boolean' && typeof value !== 'function'
  }

  /** Headers may be pairs of name and value, a flat list of these, or objects with `name` and `value`. */
  function hideInside(value: object): object {
    if (Array.isArray(value)) return arePairs(value) ? hideInPairs(value) : value
    if (!('value' in value)) return value
    const name = 'name' in value ? value.name : 'key' in value ? value.key : undefined
    return typeof name === 'string' && isHidden(name, value.value) ? { ...value, value: REDACTED } : value
  }

  function hideInPairs(list: readonly unknown[]): readonly unknown[] {
    const isSecret = (_: unknown, at: number): boolean => at % 2 === 1 && isHidden(list[at - 1] as string, list[at])
    return list.some(isSecret) ? list.map((one, at) => (isSecret(one, at) ? REDACTED : one)) : list
  }

  return {
    stringify(value, prepare) {
      const text = JSON.stringify(value, prepare) as string | undefined
      if (text === undefined || !isSuspect(text)) return text
      return JSON.stringify(value, prepare ? (key, one) => replace(key, prepare(key, one)) : replace)
    },
    copy: value => copyToShow(value, replace)
  }
}

/** The redactor without further words. */
export const usualRedactor: Redactor = createRedactor()

function arePairs(list: readonly unknown[]): boolean {
  if (list.length === 0 || list.length % 2 === 1 || list.length > MOST_IN_PAIRS) return false
  if (list.length === 2) return typeof list[0] === 'string' && list[0].length <= LONGEST_NAME
  return list.every(one => typeof one === 'string')
}

const URL_WITH_USER = /:\/\/[^"/\s]*@/
const MOST_IN_PAIRS = 200
