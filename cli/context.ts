import type { styleText } from 'node:util'

/** What commands are given to work with. */
export interface CommandContext {
  /** The environment, with what the `.env` of the project adds to it. */
  readonly env: NodeJS.ProcessEnv
  /** What that says. */
  readonly envFile: EnvFile
  readonly output: Output
  /** Aborts at the first Ctrl-C or SIGTERM, and when an error escapes that nobody caught. */
  readonly stop: AbortSignal
  /** Aborts at the second. */
  readonly stopNow: AbortSignal
}

/** Where commands write. */
export interface Output {
  /** How results are set off. */
  readonly style: Style
  /** How many characters fit on a line of results. */
  readonly width: number
  /** How many columns the terminal has that shows the results; `undefined` if they go elsewhere. */
  readonly columns: number | undefined
  /** The terminal to which results go; `undefined` if they go elsewhere. */
  readonly terminal: Terminal | undefined
  /** Results. */
  line(text: string): void
  /** Notices and errors. */
  notice(text: string): void
  /** Shows on a terminal, and only there, how far something has come, until the next status or notice. */
  status(text: string): void
  /** How notices are set off. */
  readonly noticeStyle: Style
  /** Waits until everything has been written. */
  flush(): Promise<void>
}

/** A terminal, of the size that it has now. */
export interface Terminal {
  readonly columns: number
  readonly rows: number
  /** Calls whenever it has got another size, until what it returns is called. */
  onResize(listener: () => void): () => void
  /** Writes what draws on it. */
  write(text: string): void
}

/** How text is set off; plain where colours do not belong. */
export type Style = (format: Parameters<typeof styleText>[0], text: string) => string

/** The variables of a `.env`. */
export type EnvFile = Readonly<Record<string, string | undefined>>
