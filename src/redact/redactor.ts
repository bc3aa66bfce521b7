import { copyToShow } from './copy.ts'
import { createNames, LONGEST_NAME, stemsOf } from './names.ts'
import { hideInUrls, REDACTED } from './text.ts'

/** Hides secrets by the names that they go by. */
export interface Redactor {
  /**
   * A value as JSON text, as `JSON.stringify` writes it, without secrets; `undefined` if JSON knows no such value.
   *
   * @param prepare says what a value is replaced by before that
   * @throws what `JSON.stringify` throws
   */
  stringify(value: unknown, prepare?: (key: string, value: unknown) => unknown): string | undefined
  /** What may be shown in place of a value: a copy without secrets, or the value itself if it holds none. */
  copy(value: unknown): unknown
}

/**
 * Makes a redactor. A name is secret if a word in it is: `password` hides `newPassword`, `DB_PASSWORD` and
 * `user.password`. Hidden is the value below such a key, in a pair of name and value, and beside a `name`.
 *
 * @param words names to hide beside the usual ones
 */
export function createRedactor(words: readonly string[] = []): Redactor {
  const hidesOf = createNames(words)
  const stems = stemsOf(words)

  /** Most values hold nothing of the kind, and are written once. */
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

  /** Headers come as pairs of name and value, one after the other, or beside one another in an object. */
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

/** The one for what is shown without a worker's own words. */
export const usualRedactor: Redactor = createRedactor()

function arePairs(list: readonly unknown[]): boolean {
  if (list.length === 0 || list.length % 2 === 1 || list.length > MOST_IN_PAIRS) return false
  if (list.length === 2) return typeof list[0] === 'string' && list[0].length <= LONGEST_NAME
  return list.every(one => typeof one === 'string')
}

const URL_WITH_USER = /:\/\/[^"/\s]*@/
const MOST_IN_PAIRS = 200
