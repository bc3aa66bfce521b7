import { describe } from '../text/describe.ts'
import { didYouMean, nearMatches } from '../text/suggest.ts'

/** The names of the options of a type. The compiler demands that all of them are there, and no others. */
export type Names<Options> = Readonly<Record<keyof Options & string, true>>

/**
 * Refuses options that have no effect: a misspelt one would be passed over in silence.
 *
 * @param word what they are called, for the error
 * @throws {TypeError} if it is no object, or one of its names is unknown
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
