import type { JobFilter, PageOptions } from '../../src/inspect.ts'
import type { Arguments } from './options.ts'
import { didYouMean, nearMatches, UsageError } from './usage-error.ts'

/** The conditions that a command line gives. */
export function readFilter<State extends string>(
  args: Arguments,
  states: readonly State[]
): Omit<JobFilter, 'state'> & { state?: readonly State[] } {
  const state = args.texts('state').map(word => toState(word, states))
  const [task, queue, search] = ['task', 'queue', 'search'].map(name => args.text(name))
  return {
    ...(state.length > 0 && { state }),
    ...(task !== undefined && { task }),
    ...(queue !== undefined && { queue }),
    ...(search !== undefined && { search })
  }
}

/** Which page a command line asks for. */
export function readPage(args: Arguments): PageOptions {
  const limit = args.number('limit', { least: 1, most: 1_000, isWhole: true })
  const cursor = args.text('cursor')
  return { ...(limit !== undefined && { limit }), ...(cursor !== undefined && { cursor }) }
}

/** What the library has to say against an argument is said of the command line. */
export function explainMisuse(error: unknown): never {
  if (error instanceof TypeError || error instanceof RangeError) throw new UsageError(error.message, { cause: error })
  throw error
}

/** On a command line, a state of two words may have a hyphen. */
function toState<State extends string>(word: string, states: readonly State[]): State {
  const found = states.find(state => state === word || state.replace(' ', '-') === word)
  if (found) return found
  const near = didYouMean(nearMatches(word, states))
  throw new UsageError(`Cannot read --state: ${JSON.stringify(word)} is none of ${states.join(', ')}${near}`)
}
