import { describe } from '../text/describe.ts'
import { didYouMean, nearMatches } from '../text/suggest.ts'

/** The names of the options of a type: the compiler demands all of them, and no others. */
export type Names<Options> = Readonly<Record<keyof Options & string, true>>

/**
 * Refuses unknown options, so that a misspelt one is not ignored silently.
 *
 * @param word names an option in the error
 * @throws {TypeError} if `options` is not an object, or an option is unknown
 */
export function refuseUnknown(
  options: unknown,
  names: Readonly<Record<string, true>>,
  doing: string,
  word: string = 'option'
): void {
  if (typeof options !== 'object' || options === null) {
    throw new TypeError(`Cannot ${doing}: the ${word}s are ${describe(options)}, not an object`)
  }
  for (const name in options) {
    if (names[name] === true || (options as Record<string, unknown>)[name] === undefined) continue
    if (!Object.hasOwn(options, name)) continue
    const known = Object.keys(names)
    const near = didYouMean(nearMatches(name, known))
    throw new TypeError(`Cannot ${doing}: there is no ${word} ${name}${near || `, only ${known.join(', ')}`}`)
  }
}
