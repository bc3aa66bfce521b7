import type { RunError } from '../run.ts'

/** An error in a line or two. */
export interface ErrorSummary {
  /** Name and message, the latter's first line alone. */
  readonly first: string
  /** The same of the error that lies deepest behind it, where most often the reason is. */
  readonly deepest?: string
}

/** Sums up an error as the ledger keeps it. */
export function summarize(error: RunError): ErrorSummary {
  const deepest = deepestOf(error)
  return deepest === error ? { first: headOf(error) } : { first: headOf(error), deepest: headOf(deepest) }
}

/** Sums up an error as the table of jobs keeps it: as text, with a line for each error behind it. */
export function summarizeText(text: string): ErrorSummary {
  const [first = '', ...lines] = text.split('\n')
  const causes = lines.map(line => /^caused by (.*)/.exec(line)?.[1])
  const at = causes.findLastIndex(cause => cause !== undefined)
  // Of several errors in one, the first stands for all.
  const [one] = lines.slice(at + 1).flatMap(line => /^one of them: (.*)/.exec(line)?.[1] ?? [])
  const deepest = one ?? causes[at]
  return { first, ...(deepest !== undefined && { deepest }) }
}

function deepestOf(error: RunError): RunError {
  const { cause, errors } = error as { cause?: RunError; errors?: readonly RunError[] }
  const behind = cause ?? errors?.[0]
  return typeof behind === 'object' && behind !== null ? deepestOf(behind) : error
}

function headOf({ name, message = '' }: RunError): string {
  return [name, message.split('\n', 1)[0]].filter(Boolean).join(': ')
}
