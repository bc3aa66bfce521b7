import type { RunPosition } from '../sql/ledger/runs.ts'

/** Writes the cursor behind a page of jobs: the id of its last job. */
export function writeJobsCursor(id: string): string {
  return encode(['jobs', id])
}

/**
 * Reads what {@linkcode writeJobsCursor} wrote.
 *
 * @throws {TypeError} if it is something else
 */
export function readJobsCursor(cursor: string | undefined): string | null {
  if (cursor === undefined) return null
  const [kind, id] = decode(cursor)
  if (kind === 'jobs' && isId(id)) return id
  throw refusal('jobs', cursor)
}

/** Writes the cursor behind a page of runs. */
export function writeRunsCursor({ finishedSeconds, job, attempt }: RunPosition): string {
  return encode(['runs', finishedSeconds, job, attempt])
}

/**
 * Reads what {@linkcode writeRunsCursor} wrote.
 *
 * @throws {TypeError} if it is something else
 */
export function readRunsCursor(cursor: string | undefined): RunPosition | null {
  if (cursor === undefined) return null
  const [kind, finishedSeconds, job, attempt] = decode(cursor)
  const isTime = typeof finishedSeconds === 'string' && /^\d{1,11}\.\d{6}$/.test(finishedSeconds)
  const isAttempt = typeof attempt === 'number' && Number.isInteger(attempt) && attempt >= 0 && attempt <= MOST_ATTEMPTS
  if (kind === 'runs' && isTime && isId(job) && isAttempt) {
    return { finishedSeconds, job, attempt }
  }
  throw refusal('runs', cursor)
}

/** Writes the cursor behind a page of recurring jobs: the name of the last one. */
export function writeEntriesCursor(name: string): string {
  return encode(['recurring jobs', encodeURIComponent(name)])
}

/**
 * Reads what {@linkcode writeEntriesCursor} wrote.
 *
 * @throws {TypeError} if it is something else
 */
export function readEntriesCursor(cursor: string | undefined): string | null {
  if (cursor === undefined) return null
  const [kind, name] = decode(cursor)
  // The encoding leaves only ASCII, which is all that the cursor can hold.
  if (kind === 'recurring jobs' && typeof name === 'string' && /^(?:[\w.~!*'()-]|%[\dA-F]{2})+$/.test(name)) {
    return decodeURIComponent(name)
  }
  throw refusal('recurring jobs', cursor)
}

function encode(parts: readonly (string | number)[]): string {
  return btoa(JSON.stringify(parts)).replaceAll('+', '-').replaceAll('/', '_').replaceAll('=', '')
}

function decode(cursor: string): readonly unknown[] {
  try {
    const parts: unknown = JSON.parse(atob(String(cursor).replaceAll('-', '+').replaceAll('_', '/')))
    return Array.isArray(parts) ? parts : []
  } catch {
    return []
  }
}

function isId(value: unknown): value is string {
  return typeof value === 'string' && /^\d{1,19}$/.test(value) && BigInt(value) <= HIGHEST_ID
}

function refusal(what: string, cursor: unknown): TypeError {
  const shown = typeof cursor === 'string' ? JSON.stringify(cursor) : `of type ${typeof cursor}`
  return new TypeError(`Cannot list ${what}: the cursor is ${shown}, not one that came with a page of ${what}`)
}

/** The highest `bigint`, and the highest `smallint`. */
const HIGHEST_ID = 2n ** 63n - 1n
const MOST_ATTEMPTS = 2 ** 15 - 1
