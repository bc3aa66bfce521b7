import type { RunError } from '../run.ts'

/** An error in one or two lines. */
export interface ErrorSummary {
  /** The name, and the first line of the message. */
  readonly first: string
  /** The same of the deepest cause, which most often is the reason. */
  readonly deepest?: string
}

/** Summarizes an error of the ledger. */
export function summarize(error: RunError): ErrorSummary {
  const deepest = deepestOf(error)
  return deepest === error ? { first: headOf(error) } : { first: headOf(error), deepest: headOf(deepest) }
}

/** Summarizes an error of the table of jobs: a text with a line for each cause. */
export function summarizeText(text: string): ErrorSummary {
  const [first = '', ...lines] = text.split('\n')
  const causes = lines.map(line => /^caused by (.*)/.exec(line)?.[1])
  const at = causes.findLastIndex(cause => cause !== undefined)
  // The first of several errors represents all of them.
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
