/**
 * A statement that any driver can run: text with `$1`, `$2` … and values. Each value is text or null, so that all
 * drivers send it in the same way.
 */
export interface Statement {
  readonly text: string
  readonly values: readonly (string | null)[]
  /**
   * The name of the prepared statement, for drivers that need one. Statements with the same name must have the same
   * text.
   */
  readonly name?: string
}

/**
 * Runs a statement on a pool, a session or a caller's transaction. Columns are cast to text, or have a type that all
 * drivers read in the same way: int4 or bool.
 */
export type Execute = <Row>(statement: Statement) => Promise<readonly Row[]>

/** Runs work in a new transaction at the isolation level `read committed`, and commits it. */
export type Transact = <Result>(work: (execute: Execute) => Promise<Result>) => Promise<Result>

/** Access to a database: single statements and transactions. */
export interface Connections {
  readonly execute: Execute
  readonly transact: Transact
}

/** The engine's schema, and access to its database. */
export interface Access {
  readonly execute: Execute
  /** The schema of the engine's tables. */
  readonly schema: string
  /** Whether the transactions are ours. Only then may we change how the server plans. */
  readonly isOurs: boolean
}

/** A name or another piece of SQL that becomes part of the text. */
export interface Fragment {
  readonly sql: string
}

/**
 * Writes a statement. Values become parameters, fragments become text, and a nested statement becomes a part of the new
 * statement.
 */
export function statement(
  strings: TemplateStringsArray,
  ...parts: readonly (string | number | null | Fragment | Statement)[]
): Statement {
  const values: (string | null)[] = []
  let text = strings[0] ?? ''
  for (let index = 0; index < parts.length; index++) {
    const part = parts[index]
    if (typeof part === 'object' && part !== null) text += 'sql' in part ? part.sql : include(part, values)
    else text += `$${values.push(part === null || part === undefined ? null : String(part))}`
    text += strings[index + 1]
  }
  return { text, values }
}

/** Joins conditions with `and`. An empty list is always true. */
export function allOf(conditions: readonly Statement[]): Statement {
  const [first, ...rest] = conditions
  if (!first) return statement`true`
  return rest.reduce((all, condition) => statement`${all} and ${condition}`, statement`${first}`)
}

/** A quoted name. */
export function identifier(name: string): Fragment {
  return { sql: `"${name.replaceAll('"', '""')}"` }
}

/** The array literal of a list. */
export function textArray(items: readonly (string | number | null)[] | null): string | null {
  return items && `{${items.map(toItem).join(',')}}`
}

function toItem(item: string | number | null): string {
  if (typeof item !== 'string') return String(item)
  return /["\\]/.test(item) ? `"${item.replace(/["\\]/g, '\\$&')}"` : `"${item}"`
}

/** The parameters of a statement that was written for a driver with support for arrays. */
export function parametersOf(values: readonly unknown[]): readonly (string | null)[] {
  return values.map(value => (Array.isArray(value) ? textArray(value) : (value as string | null)))
}

/**
 * Begins a transaction, for drivers that we do not trust to do so. At this isolation level, each statement sees what
 * was committed before it. At a higher level, one of two transactions that change the same rows at the same time would
 * fail.
 */
export const beginStatement: Statement = { text: 'begin isolation level read committed', values: [] }
/** Commits the transaction of {@linkcode beginStatement}. */
export const commitStatement: Statement = { text: 'commit', values: [] }

/** Adds the values of a part to the list, and returns the text of the part with new parameter numbers. */
function include(part: Statement, values: (string | null)[]): string {
  const before = values.length
  values.push(...part.values)
  return part.text.replaceAll(PARAMETERS, (match, number?: string) => (number ? `$${Number(number) + before}` : match))
}

/** Quoted names and texts come first, because a schema may have a name like `tenant$1`. */
const PARAMETERS = /"(?:[^"]|"")*"|'(?:[^']|'')*'|\$(\d+)/g

/** Undoes the transaction of {@linkcode beginStatement}. */
export const rollbackStatement: Statement = { text: 'rollback', values: [] }

/** Begins a part of a transaction that may fail without the rest. */
export const savepointStatement: Statement = { text: 'savepoint part', values: [] }
/** Undoes everything since {@linkcode savepointStatement}. */
export const returnToSavepointStatement: Statement = { text: 'rollback to savepoint part', values: [] }

/** Sets how many milliseconds the statements of this transaction wait for a lock; 0 means forever. */
export function limitLocksStatement(ms: number): Statement {
  return statement`select set_config('lock_timeout', ${ms}::text, true)`
}
