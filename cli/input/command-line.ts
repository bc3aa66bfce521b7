import type { Command } from 'cac'
import { didYouMean, nearMatches, UsageError } from './usage-error.ts'

/** A command line split into words and options, with the values as typed. */
export interface ParsedLine {
  readonly words: readonly string[]
  /** The values of each option by its long name, as typed. An option without a value has none. */
  readonly options: ReadonlyMap<string, readonly string[]>
  /** How an option was spelt, by its long name: `--in` for `delay`. */
  spelling(name: string): string
}

/**
 * Parses a command line by the options that a command declares. cac's own parser is too lax for it: it turns `007` into
 * 7, drops the words after `--`, and accepts `--no-once`, `--a.b` and an option that is given twice.
 *
 * @throws {UsageError} if an option is unknown, given twice, or has no value
 */
export function parseLine(command: Command, args: readonly string[]): ParsedLine {
  const known = optionsOf(command)
  const words: string[] = []
  const options = new Map<string, readonly string[]>()
  const spellings = new Map<string, string>()
  const rest = [...args]
  for (let arg = rest.shift(); arg !== undefined; arg = rest.shift()) {
    if (arg === '--') {
      words.push(...rest)
      break
    }
    if (!arg.startsWith('-') || arg === '-') {
      words.push(arg)
      continue
    }
    const [spelling = '', ...attached] = arg.split('=')
    const option = known.find(({ spellings }) => spellings.includes(spelling))
    if (!option) throw misuse(command, `there is no option ${spelling}${suggest(spelling, known)}`)
    spellings.set(option.name, spelling)
    if (!option.takesValue) {
      if (attached.length > 0) throw misuse(command, `${spelling} takes no value`)
      options.set(option.name, [])
      continue
    }
    const value = attached.length > 0 ? attached.join('=') : isValue(rest[0]) ? rest.shift() : undefined
    if (value === undefined) throw misuse(command, `${spelling} has no value`)
    const earlier = options.get(option.name) ?? []
    if (earlier.length > 0 && !option.isRepeatable) throw misuse(command, `${spelling} is given more than once`)
    options.set(option.name, [...earlier, value])
  }
  return { words, options, spelling: name => spellings.get(name) ?? `--${name}` }
}

/** An error that says what is wrong with a command line, and how the command is used. */
export function misuse(command: Command, fault: string): UsageError {
  return new UsageError(`Cannot run ${nameOf(command)}: ${fault}\nUsage: ${usageOf(command)}`)
}

/** How a command is called, as in `ks background schedule <task> [payload] [options]`. */
export function usageOf(command: Command): string {
  return `${`${command.cli.name} ${command.rawName}`.trim()} [options]`
}

/** A command as it is typed, as in `ks background schedule`. */
export function nameOf(command: Command): string {
  return `${command.cli.name} ${command.name}`.trim()
}

/** The long name of an option: `delay` for `--in, --delay <duration>`. */
export function longName(flags: string): string {
  return (spellingsOf(flags).at(-1) ?? '').slice(2)
}

interface KnownOption {
  readonly name: string
  readonly spellings: readonly string[]
  readonly takesValue: boolean
  readonly isRepeatable: boolean
}

function optionsOf(command: Command): KnownOption[] {
  return [...command.options, ...(command.globalCommand?.options ?? [])].map(({ rawName }) => ({
    name: longName(rawName),
    spellings: spellingsOf(rawName),
    takesValue: rawName.includes('<'),
    isRepeatable: rawName.endsWith('...>')
  }))
}

function spellingsOf(flags: string): readonly string[] {
  return (flags.split(' <')[0] ?? '').split(', ')
}

/** A negative number and the dash for standard input are values. Any other word with a dash is the next option. */
function isValue(arg: string | undefined): boolean {
  return arg !== undefined && (!arg.startsWith('-') || /^-(?:[\d.]|$)/.test(arg))
}

function suggest(spelling: string, known: readonly KnownOption[]): string {
  const names = known.map(({ name }) => name)
  return didYouMean(nearMatches(spelling.replace(/^-+/, ''), names).map(name => `--${name}`))
}
