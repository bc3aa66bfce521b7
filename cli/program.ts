import { basename } from 'node:path'
import { cac } from 'cac'
import { commandNames, runBackground } from './background.ts'
import type { ProgramContext } from './context.ts'
import { addHelp, versionLine } from './help.ts'
import { didYouMean, nearMatches, UsageError } from './input/usage-error.ts'

/** Runs a command line and returns its exit code. */
export async function runProgram(argv: readonly string[], context: ProgramContext): Promise<number> {
  const program = programName(argv)
  const args = argv.slice(2)
  // cac matches only the first word, so a second program parses the words after `background`.
  if (args[0] === 'background' || args[0] === 'bg') return await runBackground(program, args.slice(1), context)

  const cli = cac(program)
  cli.command('background', 'Run background jobs, schedule them, look after their database (short: bg)')
  cli.example(name => `  $ ${name} background\n  $ ${name} bg schedule SendEmail '{ "to": "admin@example.com" }'`)
  addHelp(cli, 'Background jobs for TypeScript on PostgreSQL')
  cli.parse(['', program, ...args], { run: false })
  if (cli.options.help) return 0
  if (cli.options.version) {
    context.output.line(versionLine())
    return 0
  }
  const [first] = args
  if (first === undefined) {
    cli.outputHelp()
    return 2
  }
  if (first.startsWith('-')) {
    throw new UsageError(`Cannot run ${program}: there is no option ${first}. Try ${program} --help`)
  }
  const near = didYouMean(suggest(program, first))
  throw new UsageError(`Cannot run ${first}: there is no such command${near || `. Try ${program} --help`}`)
}

/** Suggests commands for a mistyped word: often one below `background` is meant. */
function suggest(program: string, word: string): string[] {
  if (word === 'help') return [`${program} --help`, `${program} background --help`]
  const names = nearMatches(word, ['background', 'bg'])
  if (names.length > 0) return names
  const below = commandNames()
  return (below.includes(word) ? [word] : nearMatches(word, below)).map(name => `${program} background ${name}`)
}

function programName(argv: readonly string[]): string {
  const name = basename(argv[1] ?? '').replace(/\.\w+$/, '')
  return name === 'ks' ? 'ks' : 'kretes'
}
