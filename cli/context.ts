import type { styleText } from 'node:util'
import type { Logger } from '../src/logger.ts'

/** What the process gives to the program. */
export interface ProgramContext {
  /** The environment. A command finds the variables of the project's `.env` in it, too. */
  readonly env: NodeJS.ProcessEnv
  readonly output: Output
  /** Aborts at the first Ctrl-C or SIGTERM, and when an error is caught by no code. */
  readonly stop: AbortSignal
  /** Aborts at the second. */
  readonly stopNow: AbortSignal
}

/** The log levels, from the most lines to none. */
export const LOG_LEVELS = ['debug', 'info', 'warn', 'error', 'silent'] as const

export type LogLevel = (typeof LOG_LEVELS)[number]

/** What the program gives to a command. */
export interface CommandContext extends ProgramContext {
  /** The variables of the project's `.env`. */
  readonly envFile: EnvFile
  readonly logLevel: LogLevel
  /** Writes to standard error, so that standard output holds the result alone. */
  readonly notices: Logger
}

/** Where commands write. Control characters in any text are shown as escapes. */
export interface Output {
  /** Styles results. */
  readonly style: Style
  /** How many characters fit on a line of results. */
  readonly width: number
  /** How many columns the terminal of the results has; `undefined` if they go elsewhere. */
  readonly columns: number | undefined
  /** The terminal of the results; `undefined` if they go elsewhere. */
  readonly terminal: Terminal | undefined
  /** Writes a result. */
  line(text: string): void
  /** Writes a result as JSON on one line. */
  json(value: unknown): void
  /** Writes a notice or an error. */
  notice(text: string): void
  /** Shows progress, on a terminal only, until the next status or notice. */
  status(text: string): void
  /** Styles notices. */
  readonly noticeStyle: Style
  /** Waits until everything has been written. */
  flush(): Promise<void>
}

/** A terminal, of its current size. */
export interface Terminal {
  readonly columns: number
  readonly rows: number
  /** Calls the listener whenever the size changes; returns a function that ends this. */
  onResize(listener: () => void): () => void
  /** Writes control sequences and text as they are. */
  write(text: string): void
}

/** Styles a text; returns it as it is where colours are off. */
export type Style = (format: Format, text: string) => string

/** A colour or another format. */
export type Format = Parameters<typeof styleText>[0]

/** The variables of a `.env`. */
export type EnvFile = Readonly<Record<string, string | undefined>>
