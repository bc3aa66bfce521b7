import type { CommandContext } from './context.ts'
import type { OptionSet, ValuesOf } from './input/options.ts'

/** A command below `kretes background`. */
export interface Command<Options extends OptionSet = OptionSet> {
  /** Its name and arguments, as in `schedule <task> [payload]`; empty for the worker. */
  readonly usage: string
  /** What it does, for the list of commands and its own help. */
  readonly summary: string
  /** Its options, in the order of its help. */
  readonly options: Options
  /** Lines of examples below its help. */
  examples?(program: string): readonly string[]
  /**
   * Does it.
   *
   * @returns the exit code
   */
  run(input: Input<Options>, context: CommandContext): Promise<number>
}

/** Commands that share a first word, such as `cron`. */
export interface Group {
  /** The word. */
  readonly name: string
  /** What they are for, for the list of commands and the help of the group. */
  readonly summary: string
  /** The commands, in the order of the help. The one with an empty `usage` runs where the word stands alone. */
  readonly commands: readonly Command[]
}

/** What was typed, checked against the command's declaration. */
export interface Input<Options extends OptionSet> {
  /** The arguments after the command's name. */
  readonly words: readonly string[]
  readonly options: ValuesOf<Options>
  /** How an option was spelt, by its long name: `--in` for `delay`. */
  spelling(name: string): string
}

/** Declares a command; the types of its options follow from their declaration. */
export function defineCommand<Options extends OptionSet>(command: Command<Options>): Command<Options> {
  return command
}
