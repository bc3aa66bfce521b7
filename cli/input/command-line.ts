import type { Command } from 'cac'
import { didYouMean, nearMatches, UsageError } from './usage-error.ts'

/** A command line taken apart: what was typed, not what it might mean. */
export interface Line {
  readonly words: readonly string[]
  /** Each option by its long name, with its values as typed; none for one that takes none. */
  readonly options: ReadonlyMap<string, readonly string[]>
  /** How an option was spelt, by its long name. */
  readonly spellings: ReadonlyMap<string, string>
}

/**
 * Reads a line against the options that a command declares. cac's own reading is for programs that are less strict: it
 * makes 7 of `007`, drops what follows `--`, and takes `--no-once`, `--a.b` and an option given twice for granted.
 *
 * @throws {UsageError} if an option is unknown, given twice, or has no value
 */
export function readLine(command: Command, args: readonly string[]): Line {
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
  return { words, options, spellings }
}

/** Says what is wrong with a command line, and how the command is used. */
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

interface KnownOption {
  readonly name: string
  readonly spellings: readonly string[]
  readonly takesValue: boolean
  readonly isRepeatable: boolean
}

function optionsOf(command: Command): KnownOption[] {
  return [...command.options, ...(command.globalCommand?.options ?? [])].map(({ rawName }) => {
    const [names = '', value] = rawName.split(' <')
    const spellings = names.split(', ')
    const name = (spellings.at(-1) ?? '').slice(2)
    return { name, spellings, takesValue: value !== undefined, isRepeatable: value?.endsWith('...>') ?? false }
  })
}

/** A negative number is a value, wrong as it may be, and so is the dash that stands for standard input; anything else with a dash is the next option. */
function isValue(arg: string | undefined): boolean {
  return arg !== undefined && (!arg.startsWith('-') || /^-(?:[\d.]|$)/.test(arg))
}

function suggest(spelling: string, known: readonly KnownOption[]): string {
  const names = known.map(({ name }) => name)
  return didYouMean(nearMatches(spelling.replace(/^-+/, ''), names).map(name => `--${name}`))
}
