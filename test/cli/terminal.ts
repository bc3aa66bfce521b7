import { join } from 'node:path'
import { createDatabase, type TestDatabase } from '../helpers/database.ts'
import { openTerminal, type TerminalOptions, type TestTerminal } from '../helpers/terminal.ts'
import { createProgram, type Program, TASKS } from './program.ts'

type Options = Pick<TerminalOptions, 'env' | 'columns' | 'rows'>

/** The command line, and terminals to run it in, on a database of its own. */
export interface TerminalProgram extends Program, Pick<TestDatabase, 'sql'> {
  /** Starts `kretes` with these arguments in a terminal. */
  open(args: readonly string[], options?: Options): TestTerminal
  /** Runs a line of shell in a terminal. Ctrl-C ends what runs there, and the line goes on. */
  openShell(line: string, options?: Options): TestTerminal
}

/** A project whose database is migrated and empty. */
export async function createTerminalProgram(): Promise<TerminalProgram> {
  const { url, sql } = await createDatabase()
  const program = await createProgram(TASKS, { DATABASE_URL: url })
  await program.run(['bg', 'migrate'])
  const bins = join(program.directory, 'node_modules/.bin')
  const openIn = (command: string, args: readonly string[], options: Options = {}): TestTerminal =>
    openTerminal(command, args, {
      ...options,
      cwd: program.directory,
      env: {
        DATABASE_URL: url,
        PATH: `${bins}:${process.env.PATH}`,
        NO_COLOR: undefined,
        FORCE_COLOR: undefined,
        ...options.env
      }
    })
  return {
    ...program,
    sql,
    open: (args, options) => openIn(process.execPath, [join(bins, 'kretes'), ...args], options),
    openShell: (line, options) => openIn('sh', ['-c', `trap : INT; ${line}`], options)
  }
}

/** What is to be seen, without the notice that the database takes its time, as it may on a busy machine. */
export function linesOf(terminal: TestTerminal): string[] {
  return terminal.lines.filter(line => !line.includes('Waiting for the database '))
}

/** What `status --watch` has drawn so far, one time after the other. */
export function framesOf({ text }: TestTerminal): string[] {
  return text.split('\u001b[H').slice(1)
}

/** What sets text off in a colour or otherwise. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what it looks for
export const COLOURS: RegExp = /\u001b\[[\d;]*m/
