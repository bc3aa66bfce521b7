import { type CAC, cac, type Command as Declared } from 'cac'
import type { Command } from './command.ts'
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
  const cli = cac(`${program} background`)
  const declared = new Map(commands.map(command => [declare(cli, command), command]))
  cli.option(logLevel.flags, logLevel.description)
  addHelp(cli, 'Run background jobs, schedule them, look after their database')
  cli.parse(['', cli.name, ...args], { run: false })
  if (cli.options.help) return 0
  if (cli.options.version) {
    context.output.line(versionLine())
    return 0
  }
  const matched = cli.matchedCommand!
  const command = declared.get(matched)!
  const line = parseLine(matched, args)
  const words = readWords(cli, matched, line)
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

/** The names of the commands below `background`. */
export function commandNames(): string[] {
  return commands.flatMap(({ usage }) => usage.split(' ')[0] || [])
}

const logLevel = choice('--log-level <level>', `${LOG_LEVELS.join(', ')} (default: info)`, LOG_LEVELS)

function declare(cli: CAC, { usage, summary, options, examples }: Command): Declared {
  const command = cli.command(usage, summary)
  for (const { flags, description } of Object.values(options)) command.option(flags, description)
  if (examples) command.example(name => examples(name).join('\n'))
  return command
}

/** The words after the command's name; cac has checked none of them. */
function readWords(cli: CAC, command: Declared, line: ParsedLine): readonly string[] {
  const words = command.name === '' ? line.words : line.words.slice(1)
  const [missing] = command.args.slice(words.length).filter(({ required }) => required)
  if (missing) throw misuse(command, `the ${missing.value} is missing`)
  const isOpen = command.args.at(-1)?.variadic ?? false
  const [extra] = isOpen ? [] : words.slice(command.args.length)
  if (extra === undefined) return words
  throw command.name === '' ? unknownCommand(cli, extra) : misuse(command, `${extra} is one argument too many`)
}

function readOptions<Options extends OptionSet>(options: Options, line: ParsedLine): ValuesOf<Options> {
  const values = Object.entries(options).map(([key, { flags, read }]) => {
    const name = longName(flags)
    return [key, read(line.options.get(name), line.spelling(name))]
  })
  return Object.fromEntries(values)
}

function unknownCommand(cli: CAC, word: string): UsageError {
  const names = commandNames()
  if (names.includes(word)) return new UsageError(`Cannot run ${word}: it comes first, as in: ${cli.name} ${word}`)
  const near =
    didYouMean(word === 'help' ? [`${cli.name} --help`] : nearMatches(word, names)) ||
    `. Try ${nameOf(cli.commands[0]!)} --help`
  return new UsageError(`Cannot run ${word}: there is no such command${near}`)
}
