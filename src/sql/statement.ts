/**
 * A statement that any driver can run: text with `$1`, `$2` …, and its values, each of them text or null, so that no
 * driver has a say in how they are written.
 */
export interface Statement {
  readonly text: string
  readonly values: readonly (string | null)[]
  /** Under which a driver that needs one prepares it. Its text must be the same each time. */
  readonly name?: string
}

/**
 * Runs a statement on a pool, a session or a caller's transaction. Columns are cast to text, or are of types that all drivers
 * read alike: int4 and bool.
 */
export type Execute = <Row>(statement: Statement) => Promise<readonly Row[]>

/** Runs work in a new transaction at the isolation level `read committed`, and commits it. */
export type Transact = <Result>(work: (execute: Execute) => Promise<Result>) => Promise<Result>

/** A way to a database: single statements, and transactions. */
export interface Connections {
  readonly execute: Execute
  readonly transact: Transact
}

/** Where the engine is, and how to reach it. */
export interface Access {
  readonly execute: Execute
  /** The schema of its tables. */
  readonly schema: string
  /** Whether transactions are ours, so that we may set how they plan. */
  readonly isOurs: boolean
}

/** A name, or another piece of SQL, that belongs into the text. */
export interface Fragment {
  readonly sql: string
}

/** Writes a statement: values become parameters, fragments become text, and statements become a part of this one. */
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

/** Statements, or parts of one, that all have to hold; nothing to hold is always true. */
export function allOf(conditions: readonly Statement[]): Statement {
  const [first, ...rest] = conditions
  if (!first) return statement`true`
  return rest.reduce((all, condition) => statement`${all} and ${condition}`, statement`${first}`)
}

/** A name, quoted. */
export function identifier(name: string): Fragment {
  return { sql: `"${name.replaceAll('"', '""')}"` }
}

/** A list as the literal of an array. */
export function textArray(items: readonly (string | number | null)[] | null): string | null {
  return items && `{${items.map(toItem).join(',')}}`
}

function toItem(item: string | number | null): string {
  if (typeof item !== 'string') return String(item)
  return /["\\]/.test(item) ? `"${item.replace(/["\\]/g, '\\$&')}"` : `"${item}"`
}

/** The parameters of a statement that was written for a driver which knows arrays. */
export function parametersOf(values: readonly unknown[]): readonly (string | null)[] {
  return values.map(value => (Array.isArray(value) ? textArray(value) : (value as string | null)))
}

/**
 * Begins a transaction, and commits it, where a driver is not trusted to. Each statement sees what was committed before it:
 * with another isolation by default, it would fail where two do the same.
 */
export const beginStatement: Statement = { text: 'begin isolation level read committed', values: [] }
/** See {@linkcode beginStatement}. */
export const commitStatement: Statement = { text: 'commit', values: [] }

/** Puts the values of a part behind those that are there, and says its text with their new numbers. */
function include(part: Statement, values: (string | null)[]): string {
  const before = values.length
  values.push(...part.values)
  return part.text.replaceAll(PARAMETERS, (match, number?: string) => (number ? `$${Number(number) + before}` : match))
}

/** Quoted names and texts come first, since a schema may be called `tenant$1`. */
const PARAMETERS = /"(?:[^"]|"")*"|'(?:[^']|'')*'|\$(\d+)/g

/** See {@linkcode beginStatement}. */
export const rollbackStatement: Statement = { text: 'rollback', values: [] }

/** Begins a part of a transaction that may fail without the rest. */
export const savepointStatement: Statement = { text: 'savepoint part', values: [] }
/** Undoes what was done since {@linkcode savepointStatement}. */
export const returnToSavepointStatement: Statement = { text: 'rollback to savepoint part', values: [] }

/** How long statements of this transaction wait for a lock, in milliseconds; 0 is for ever. */
export function limitLocksStatement(ms: number): Statement {
  return statement`select set_config('lock_timeout', ${ms}::text, true)`
}
