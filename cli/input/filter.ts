import { type Option, options, text, toChoice, wholeNumber } from './options.ts'

/** The options that select jobs or runs. */
export interface FilterOptions<State extends string> {
  readonly state: Option<readonly State[] | undefined>
  readonly task: Option<string | undefined>
  readonly queue: Option<string | undefined>
  readonly search: Option<string | undefined>
}

/** Declares the options that select jobs or runs. */
export function filterOptions<State extends string>(states: readonly State[], searched: string): FilterOptions<State> {
  return {
    state: options(
      '--state <state...>',
      `Only in this state: ${states.join(', ')}; may be repeated`,
      (word, spelling) => toChoice(word, spelling, states)
    ),
    task: text('--task <name>', 'Only of this task'),
    queue: text('--queue <name>', 'Only of this queue'),
    search: text('--search <text>', `Only with this text in ${searched}`)
  }
}

/** The options that select a page of a list. */
export const pageOptions = {
  limit: wholeNumber('--limit <number>', 'How many to show, up to 1000 (default: 50)', [1, 1_000]),
  cursor: text('--cursor <cursor>', 'Continue where the previous page ended')
}
