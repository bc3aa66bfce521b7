import { toMilliseconds } from '../../src/duration.ts'
import type { Line } from './command-line.ts'
import { didYouMean, nearMatches, UsageError } from './usage-error.ts'

/** A command line whose options are read by kind, with an error that says what is wrong with one. */
export interface Arguments {
  readonly words: readonly string[]
  /** How an option was spelt, as in `--in`. */
  spelling(name: string): string
  /** An option as it was typed, or `undefined`. */
  text(name: string): string | undefined
  /** An option that may be repeated. */
  texts(name: string): readonly string[]
  flag(name: string): boolean
  /** A number in a range, or `undefined`. */
  number(name: string, range: Range): number | undefined
  /** A length of time such as `5m` in milliseconds, or `undefined`. */
  duration(name: string): number | undefined
  /** One of some words, or `undefined`. */
  choice<Word extends string>(name: string, words: readonly Word[]): Word | undefined
}

/** What a number may be. */
export interface Range {
  readonly least: number
  readonly most: number
  readonly isWhole?: boolean
}

/** Gives a line's options their kinds. */
export function toArguments({ words, options, spellings }: Line): Arguments {
  const spelling = (name: string): string => spellings.get(name) ?? `--${name}`
  function texts(name: string): readonly string[] {
    const values = options.get(name) ?? []
    if (values.includes('')) throw new UsageError(`Cannot read ${spelling(name)}: it is empty`)
    return values
  }
  const text = (name: string): string | undefined => texts(name)[0]

  return {
    words,
    spelling,
    text,
    texts,
    flag: name => options.has(name),
    number(name, { least, most, isWhole = false }) {
      const value = text(name)
      if (value === undefined) return undefined
      const number = value.trim() === '' ? Number.NaN : Number(value)
      if (number >= least && number <= most && (!isWhole || Number.isInteger(number))) return number
      const kind = isWhole ? 'whole number' : 'number'
      throw new UsageError(
        `Cannot read ${spelling(name)}: ${JSON.stringify(value)} is not a ${kind} from ${least} to ${most}`
      )
    },
    duration(name) {
      const value = text(name)
      if (value === undefined) return undefined
      try {
        return toMilliseconds(value, `read ${spelling(name)}`, 'it')
      } catch (error) {
        if (!(error instanceof TypeError)) throw new UsageError((error as Error).message)
        throw new UsageError(
          `Cannot read ${spelling(name)}: ${JSON.stringify(value)} is not a duration such as 90s, 5m or 1h30m`
        )
      }
    },
    choice(name, words) {
      const value = text(name)
      if (value === undefined) return undefined
      const found = words.find(word => word === value)
      if (found) return found
      const near = didYouMean(nearMatches(value, words))
      throw new UsageError(
        `Cannot read ${spelling(name)}: ${JSON.stringify(value)} is none of ${words.join(', ')}${near}`
      )
    }
  }
}
