import { toMilliseconds } from '../../src/duration.ts'
import { didYouMean, nearMatches, UsageError } from './usage-error.ts'

/** An option of a command. The help, the type of the value and its validation all follow from this declaration. */
export interface Option<Value = unknown> {
  /** As cac takes them: `-f, --follow`, `--limit <number>`, or `--state <state...>` for one that may be repeated. */
  readonly flags: string
  readonly description: string
  /**
   * Reads the values as typed. They are `undefined` if the option is not given, and empty if it takes no value.
   *
   * @param spelling how the option is spelt, for errors
   * @throws {UsageError} if a value is wrong
   */
  read(values: readonly string[] | undefined, spelling: string): Value
}

/** The options of a command, by the names under which it reads their values. */
export type OptionSet = Readonly<Record<string, Option>>

/** The values of these options. */
export type ValuesOf<Options extends OptionSet> = {
  readonly [Name in keyof Options]: Options[Name] extends Option<infer Value> ? Value : never
}

/** An option without a value. */
export function flag(flags: string, description: string): Option<boolean> {
  return { flags, description, read: values => values !== undefined }
}

/** An option with one value, which `read` checks and converts. */
export function option<Value>(
  flags: string,
  description: string,
  read: (value: string, spelling: string) => Value
): Option<Value | undefined> {
  return {
    flags,
    description,
    read: (values, spelling) => (values?.[0] === undefined ? undefined : read(notEmpty(values[0], spelling), spelling))
  }
}

/** An option that may be repeated. */
export function options<Value>(
  flags: string,
  description: string,
  read: (value: string, spelling: string) => Value
): Option<readonly Value[] | undefined> {
  return {
    flags,
    description,
    read: (values, spelling) => values?.map(value => read(notEmpty(value, spelling), spelling))
  }
}

/** Any text. */
export function text(flags: string, description: string): Option<string | undefined> {
  return option(flags, description, value => value)
}

/** A whole number in a range. */
export function wholeNumber(
  flags: string,
  description: string,
  range: readonly [least: number, most: number]
): Option<number | undefined> {
  return option(flags, description, (value, spelling) => toNumber(value, spelling, range, true))
}

/** A duration such as `5m`, in milliseconds. */
export function duration(flags: string, description: string): Option<number | undefined> {
  return option(flags, description, toDuration)
}

/** One of some words. */
export function choice<Word extends string>(
  flags: string,
  description: string,
  words: readonly Word[]
): Option<Word | undefined> {
  return option(flags, description, (value, spelling) => toChoice(value, spelling, words))
}

/** For every command that uses the database. */
export const databaseUrl: Option<string | undefined> = text(
  '--database-url <url>',
  'The database to use (default: DATABASE_URL, PG*, or one in .kretes/)'
)

/** For every command that reads task files. */
export const tasks: Option<string | undefined> = text(
  '--tasks <directory>',
  'The directory of the task files (default: tasks)'
)

/** How long the ledger keeps its runs. */
export const retention = {
  keepSuccesses: option(
    '--keep-successes <duration>',
    'How long to keep runs that did not fail, or forever (default: 7d)',
    toRetention
  ),
  keepFailures: option(
    '--keep-failures <duration>',
    'How long to keep runs that failed, or forever (default: 30d)',
    toRetention
  )
}

/** Reads a number in a range. */
export function toNumber(
  value: string,
  spelling: string,
  [least, most]: readonly [number, number],
  isWhole: boolean
): number {
  const number = value.trim() === '' ? Number.NaN : Number(value)
  if (number >= least && number <= most && (!isWhole || Number.isInteger(number))) return number
  const kind = isWhole ? 'whole number' : 'number'
  throw new UsageError(`Cannot read ${spelling}: ${JSON.stringify(value)} is not a ${kind} from ${least} to ${most}`)
}

/** Reads a duration, in milliseconds. */
export function toDuration(value: string, spelling: string): number {
  try {
    return toMilliseconds(value, `read ${spelling}`, 'it')
  } catch (error) {
    if (!(error instanceof TypeError)) throw new UsageError((error as Error).message)
    throw new UsageError(`Cannot read ${spelling}: ${JSON.stringify(value)} is not a duration such as 90s, 5m or 1h30m`)
  }
}

/** Reads one of some words. A space in a word may be typed as a hyphen. */
export function toChoice<Word extends string>(value: string, spelling: string, words: readonly Word[]): Word {
  const found = words.find(word => word === value || word.replace(' ', '-') === value)
  if (found) return found
  const near = didYouMean(nearMatches(value, words))
  throw new UsageError(`Cannot read ${spelling}: ${JSON.stringify(value)} is none of ${words.join(', ')}${near}`)
}

function notEmpty(value: string, spelling: string): string {
  if (value === '') throw new UsageError(`Cannot read ${spelling}: it is empty`)
  return value
}

function toRetention(value: string, spelling: string): number | 'forever' {
  return value === 'forever' ? value : toDuration(value, spelling)
}
