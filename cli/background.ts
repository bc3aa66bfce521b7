import { type CAC, cac } from 'cac'
import { database } from './commands/db.ts'
import { defineHealthCommands, healthActions } from './commands/health.ts'
import { defineInspectCommands, inspectActions } from './commands/inspect.ts'
import { migrateDatabase } from './commands/migrate.ts'
import { reschedule } from './commands/reschedule.ts'
import { schedule } from './commands/schedule.ts'
import { listTasks } from './commands/tasks.ts'
import { work } from './commands/work.ts'
import type { CommandContext } from './context.ts'
import { addHelp, versionLine } from './help.ts'
import { misuse, nameOf, readLine } from './input/command-line.ts'
import { readEnvFile } from './input/env-file.ts'
import { KEY_MODES } from './input/job-options.ts'
import { type Arguments, toArguments } from './input/options.ts'
import { didYouMean, nearMatches, UsageError } from './input/usage-error.ts'
import { LOG_FORMATS, LOG_LEVELS } from './output/logger.ts'

/** The command `background` and those below it. */
export async function runBackground(
  program: string,
  args: readonly string[],
  context: CommandContext
): Promise<number> {
  const cli = defineCommands(cac(`${program} background`))
  cli.parse(['', cli.name, ...args], { run: false })
  if (cli.options.help) return 0
  if (cli.options.version) {
    context.output.line(versionLine())
    return 0
  }
  const run = actions[cli.matchedCommand?.name ?? '']
  if (!run) throw new UsageError(`Cannot run ${cli.name}: there is no such command`)
  const read = readArguments(cli, args)
  return await run(read, { ...context, envFile: readEnvFile(context.env, context.output) })
}

/** The commands below `background`. */
export function commandNames(): string[] {
  return defineCommands(cac('')).commands.flatMap(({ name }) => name || [])
}

type Action = (args: Arguments, context: CommandContext) => Promise<number>

const actions: Readonly<Record<string, Action>> = {
  '': work,
  schedule,
  reschedule,
  ...inspectActions,
  migrate: migrateDatabase,
  ...healthActions,
  tasks: listTasks,
  db: database
}

function defineCommands(cli: CAC): CAC {
  const taskDirectory = ['--tasks <directory>', 'Where the task files are (default: tasks)'] as const
  const databaseUrl = ['--database-url <url>', 'The database (default: DATABASE_URL, PG*, or one in .kretes/)'] as const
  cli
    .command('', 'Run the worker')
    .option('--concurrency <number>', 'How many jobs run at the same time (default: 10)')
    .option(...taskDirectory)
    .option(...databaseUrl)
    .option('--once', 'Run what is due, then exit')
    .option('--detached', 'Go on when what started it has ended: a shell, npx, a terminal')
    .option('--shutdown-timeout <duration>', 'How long running jobs get to finish when it stops (default: 25s)')
    .option('--health-port <port>', 'Serve /live and /ready over HTTP on this port (default: none)')
    .option('--health-host <address>', 'Serve them at this address only (default: all)')
    .option('--keep-successes <duration>', 'For how long to keep runs that did not fail, or forever (default: 7d)')
    .option('--keep-failures <duration>', 'For how long to keep runs that failed, or forever (default: 30d)')
    .option('--no-ledger', 'Record no runs')
    .option('--log-format <format>', `${LOG_FORMATS.join(' or ')} (default: pretty)`)
    .example(name => `  $ ${name} --concurrency 20\n  $ ${name} --once --log-format json`)
    .example('In containers, systemd and PM2, where npx and sh keep SIGTERM from the worker:')
    .example('  $ node node_modules/kretes/dist/cli.js bg')
  cli
    .command('schedule <task> [payload]', 'Schedule a job; the payload is a JSON object, @file, or - to read it')
    .option('--queue <name>', 'The queue on which jobs run one at a time (default: none, in parallel)')
    .option('--in, --delay <duration>', 'Not before this long from now, such as 90s, 5m or 1h30m')
    .option('--run-at <time>', 'Not before this time, such as 2030-01-31T08:00:00Z')
    .option('--priority <number>', 'Lower runs first, also below zero (default: 0)')
    .option('--max-attempts <number>', 'After how many failures it is not tried again (default: 25)')
    .option('--key <key>', 'Identifies the job while it exists: there is never more than one of a key')
    .option('--key-mode <mode>', `What a job of that key gets: ${KEY_MODES.join(', ')} (default: replace)`)
    .option('--lines <file>', 'Schedule a job for each line of JSON Lines, - for standard input: all or none')
    .option('--wait', 'Wait until the job has ended, and print its result')
    .option('--timeout <duration>', 'How long to wait at most; the job goes on (default: until it has ended)')
    .option('--force', 'Schedule it by its name alone, whether or not there is a task file')
    .option('--json', 'Print the job as JSON, or with --wait its result')
    .option(...taskDirectory)
    .option(...databaseUrl)
    .example(name => `  $ ${name} schedule SendEmail '{ "to": "admin@example.com" }' --queue email --delay 5m`)
    .example(name => `  $ ${name} schedule SendEmail @payload.json --key welcome-7 --priority -1`)
    .example(name => `  $ zcat users.jsonl.gz | ${name} schedule SendEmail --lines -`)
  cli
    .command('reschedule <job>', 'Change when and how a job that waits will run, by id or key')
    .option('--in, --delay <duration>', 'Not before this long from now, such as 90s, 5m or 1h30m; 0s for now')
    .option('--run-at <time>', 'Not before this time, such as 2030-01-31T08:00:00Z')
    .option('--priority <number>', 'Lower runs first, also below zero')
    .option('--max-attempts <number>', 'After how many failures it is not tried again')
    .option('--json', 'Print the job as JSON')
    .option(...databaseUrl)
    .example(
      name => `  $ ${name} reschedule 42 --delay 0s\n  $ ${name} reschedule welcome-7 --run-at 2030-01-31T08:00:00Z`
    )
  defineInspectCommands(cli)
  defineHealthCommands(cli)
  cli
    .command('tasks', 'List the task files')
    .option('--json', 'Print them as JSON')
    .option(...taskDirectory)
  cli
    .command('migrate', "Bring the database's schema up to date")
    .option('--json', 'Print the outcome as JSON')
    .option(...databaseUrl)
  cli
    .command('db <action>', 'start, status or stop: the database in .kretes/; url: print where the database is')
    .option(...databaseUrl)
    .example(name => `  $ ${name} db start\n  $ psql "$(${name} db url)"\n  $ ${name} db stop`)
  cli.option('--log-level <level>', `${LOG_LEVELS.join(', ')} (default: info)`)
  return addHelp(cli, 'Run background jobs, schedule them, look after their database')
}

function readArguments(cli: CAC, args: readonly string[]): Arguments {
  const command = cli.matchedCommand!
  const line = readLine(command, args)
  const words = command.name === '' ? line.words : line.words.slice(1)
  const [missing] = command.args.slice(words.length).filter(({ required }) => required)
  if (missing) throw misuse(command, `the ${missing.value} is missing`)
  const isOpen = command.args.at(-1)?.variadic ?? false
  const [extra] = isOpen ? [] : words.slice(command.args.length)
  if (extra !== undefined)
    throw command.name === '' ? unknownCommand(cli, extra) : misuse(command, `${extra} is one argument too many`)
  const result = toArguments({ ...line, words })
  result.choice('log-level', LOG_LEVELS)
  return result
}

function unknownCommand(cli: CAC, word: string): UsageError {
  const names = cli.commands.map(({ name }) => name).filter(Boolean)
  if (names.includes(word)) return new UsageError(`Cannot run ${word}: it comes first, as in: ${cli.name} ${word}`)
  const near =
    didYouMean(word === 'help' ? [`${cli.name} --help`] : nearMatches(word, names)) ||
    `. Try ${nameOf(cli.commands[0]!)} --help`
  return new UsageError(`Cannot run ${word}: there is no such command${near}`)
}
