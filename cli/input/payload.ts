import { encodePayload } from '../../src/enqueue/payload.ts'
import { decode, MOST_BYTES, openSource, readText, type Source } from './file.ts'
import { findInexactNumber } from './inexact-number.ts'
import { describeFault, findJsonFault } from './json-fault.ts'
import { UsageError } from './usage-error.ts'

/** The input of a task. */
export type Payload = Record<string, unknown>

/**
 * Reads a payload from an argument: JSON, `@` and the name of a file with JSON, or `-` for standard input.
 *
 * @throws {UsageError} if it is not a JSON object
 */
export async function readPayload(
  task: string,
  word: string | undefined,
  stop: AbortSignal
): Promise<Payload | undefined> {
  if (word === undefined) return undefined
  if (word === '@') throw new UsageError('Cannot read @: the name of the file is missing')
  if (word !== '-' && !word.startsWith('@')) return toPayload(task, 'the payload', word)
  const source = openSource(word === '-' ? word : word.slice(1), stop)
  return toPayload(task, source.label, await readText(source))
}

/**
 * Reads JSON Lines, a payload per line. Empty lines are skipped, but counted.
 *
 * @throws {UsageError} with the number of the first line that is not a JSON object
 */
export async function* readPayloads(task: string, source: Source): AsyncGenerator<Payload> {
  let number = 0
  for await (const lines of readLines(task, source)) {
    for (const line of lines) {
      const place = `line ${++number}`
      const text = decode(line)
      if (text === undefined) throw fault(task, `${place} is not UTF-8`)
      if (text.trim() !== '') yield toPayload(task, place, text)
    }
  }
}

/** Splits a source into lines, and yields all lines of a chunk together. */
async function* readLines(task: string, source: Source): AsyncGenerator<Buffer[]> {
  let count = 0
  let begun: Buffer[] = []
  let begunBytes = 0
  for (let chunk = await source.read(); chunk; chunk = await source.read()) {
    const lines: Buffer[] = []
    let start = 0
    for (let end = chunk.indexOf(LINE_FEED); end >= 0; end = chunk.indexOf(LINE_FEED, start)) {
      const rest = chunk.subarray(start, end)
      lines.push(begun.length > 0 ? Buffer.concat([...begun, rest]) : rest)
      begun = []
      begunBytes = 0
      start = end + 1
    }
    if (start < chunk.length) begun.push(chunk.subarray(start))
    begunBytes += chunk.length - start
    count += lines.length
    yield lines
    if (begunBytes > MOST_BYTES) throw fault(task, `line ${count + 1} has more than 16 MiB`)
  }
  if (begun.length > 0) yield [Buffer.concat(begun)]
}

function toPayload(task: string, place: string, text: string): Payload {
  const value = parse(task, place, text)
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    const kind = value === null ? 'null' : Array.isArray(value) ? 'an array' : `a ${typeof value}`
    throw fault(task, `${place} is ${kind}, not an object`)
  }
  const inexact = findInexactNumber(text)
  if (inexact) {
    const { key, source, value } = inexact
    throw fault(task, `${place} holds ${key}: ${source}, which JavaScript reads as ${value}. Give it as text`)
  }
  try {
    encodePayload(task, value)
  } catch (error) {
    const reason = (error as Error).message.replace(`Cannot schedule ${task}: `, '')
    throw fault(task, place === 'the payload' ? reason : `${place}: ${reason}`)
  }
  return value as Payload
}

function parse(task: string, place: string, text: string): unknown {
  try {
    return JSON.parse(text)
  } catch (error) {
    const found = findJsonFault(text)
    throw fault(task, `${place} is not JSON: ${found ? describeFault(text, found) : (error as Error).message}`)
  }
}

function fault(task: string, reason: string): UsageError {
  return new UsageError(`Cannot schedule ${task}: ${reason}`)
}

const LINE_FEED = 0x0a
