import { type CAC, cac, type Command as Declared } from 'cac'
import type { Command, Group } from './command.ts'
import { commands } from './commands/mod.ts'
import { LOG_LEVELS, type ProgramContext } from './context.ts'
import { addHelp, versionLine } from './help.ts'
import { longName, misuse, nameOf, type ParsedLine, parseLine } from './input/command-line.ts'
import { readEnvFile } from './input/env-file.ts'
import { choice, type OptionSet, type ValuesOf } from './input/options.ts'
import { didYouMean, nearMatches, UsageError } from './input/usage-error.ts'
import { createNotices } from './terminal/notices.ts'

/**
 * Runs `kretes background` or a command below it.
 *
 * @returns the exit code
 */
export async function runBackground(
  program: string,
  args: readonly string[],
  context: ProgramContext
): Promise<number> {
  const name = `${program} background`
  // cac matches only the first word, so a program of its own parses the words after the name of a group.
  const group = commands.find(command => isGroup(command) && command.name === args[0])
  if (group && isGroup(group)) {
    return await runCommand(`${name} ${group.name}`, group.summary, group.commands, args.slice(1), context)
  }
  return await runCommand(
    name,
    'Run background jobs, schedule them, look after their database',
    commands,
    args,
    context
  )
}

/** The names of the commands below `background`. */
export function commandNames(): string[] {
  return namesOf(commands)
}

type Entries = readonly (Command | Group)[]

/** Finds the command that is meant among some, and runs it. */
async function runCommand(
  program: string,
  title: string,
  entries: Entries,
  args: readonly string[],
  context: ProgramContext
): Promise<number> {
  const cli = cac(program)
  const declared = new Map(entries.map(entry => [declare(cli, entry), entry]))
  cli.option(logLevel.flags, logLevel.description)
  addHelp(cli, title)
  cli.parse(['', cli.name, ...args], { run: false })
  if (cli.options.help) return 0
  if (cli.options.version) {
    context.output.line(versionLine())
    return 0
  }
  const matched = cli.matchedCommand!
  const command = declared.get(matched)!
  if (isGroup(command)) throw unknownCommand(cli, command.name, entries)
  const line = parseLine(matched, args)
  const words = readWords(cli, matched, line, entries)
  const { logLevel: level = 'info' } = readOptions({ logLevel }, line)
  const options = readOptions(command.options, line)
  return await command.run(
    { words, options, spelling: line.spelling },
    {
      ...context,
      envFile: readEnvFile(context.env, context.output),
      logLevel: level,
      notices: createNotices(level, context.output)
    }
  )
}

const logLevel = choice('--log-level <level>', `${LOG_LEVELS.join(', ')} (default: info)`, LOG_LEVELS)

function isGroup(entry: Command | Group): entry is Group {
  return 'commands' in entry
}

function namesOf(entries: Entries): string[] {
  return entries.flatMap(entry => (isGroup(entry) ? entry.name : entry.usage.split(' ')[0]) || [])
}

function declare(cli: CAC, entry: Command | Group): Declared {
  if (isGroup(entry)) return cli.command(`${entry.name} [command]`, entry.summary)
  const command = cli.command(entry.usage, entry.summary)
  for (const { flags, description } of Object.values(entry.options)) command.option(flags, description)
  const { examples } = entry
  if (examples) command.example(() => examples(cli.name).join('\n'))
  return command
}

/** The words after the command's name; cac has checked none of them. */
function readWords(cli: CAC, command: Declared, line: ParsedLine, entries: Entries): readonly string[] {
  const words = command.name === '' ? line.words : line.words.slice(1)
  const [missing] = command.args.slice(words.length).filter(({ required }) => required)
  if (missing) throw misuse(command, `the ${missing.value} is missing`)
  const isOpen = command.args.at(-1)?.variadic ?? false
  const [extra] = isOpen ? [] : words.slice(command.args.length)
  if (extra === undefined) return words
  throw command.name === '' ? unknownCommand(cli, extra, entries) : misuse(command, `${extra} is one argument too many`)
}

function readOptions<Options extends OptionSet>(options: Options, line: ParsedLine): ValuesOf<Options> {
  const values = Object.entries(options).map(([key, { flags, read }]) => {
    const name = longName(flags)
    return [key, read(line.options.get(name), line.spelling(name))]
  })
  return Object.fromEntries(values)
}

function unknownCommand(cli: CAC, word: string, entries: Entries): UsageError {
  const names = namesOf(entries)
  if (names.includes(word)) return new UsageError(`Cannot run ${word}: it comes first, as in: ${cli.name} ${word}`)
  const near =
    didYouMean(word === 'help' ? [`${cli.name} --help`] : nearMatches(word, names)) ||
    `. Try ${nameOf(cli.commands[0]!)} --help`
  return new UsageError(`Cannot run ${word}: there is no such command${near}`)
}
