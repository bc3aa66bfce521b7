import { constants, createReadStream, fstatSync, openSync, type Stats, statSync } from 'node:fs'
import { Socket } from 'node:net'
import process from 'node:process'
import type { Readable } from 'node:stream'
import { interruptible } from '../signals.ts'
import { UsageError } from './usage-error.ts'

/** A file or standard input, read in chunks. */
export interface Source {
  /** Its name in messages. */
  readonly label: string
  /** The number of bytes; `undefined` if it is unknown. */
  readonly size: number | undefined
  /** The number of bytes read so far. */
  readonly position: number
  /** Whether a read is waiting for bytes. */
  readonly isAwaited: boolean
  /** The next bytes; `undefined` at the end. */
  read(): Promise<Buffer | undefined>
}

/**
 * Opens a file, or standard input if the name is `-`.
 *
 * @param stop ends a wait for bytes, with its reason
 * @throws {UsageError} if it cannot be read. {@linkcode Source.read} throws the same
 */
export function openSource(name: string, stop: AbortSignal): Source {
  const label = name === '-' ? 'standard input' : name
  const { stream, stats } = attempt(label, () => (name === '-' ? openInput() : openFile(name)))
  const chunks: AsyncIterator<Buffer> = stream[Symbol.asyncIterator]()
  let position = 0
  let isAwaited = false
  return {
    label,
    size: stats.isFile() && stats.size > 0 ? stats.size : undefined,
    get position() {
      return position
    },
    get isAwaited() {
      return isAwaited
    },
    async read() {
      isAwaited = true
      try {
        const { done, value } = await interruptible(chunks.next(), { stop, stopNow: stop }, false)
        if (done) return undefined
        position += value.length
        return value
      } catch (error) {
        throw explain(label, error)
      } finally {
        isAwaited = false
      }
    }
  }
}

/** All of a source as text. */
export async function readText(source: Source): Promise<string> {
  const chunks: Buffer[] = []
  for (let chunk = await source.read(); chunk; chunk = await source.read()) {
    chunks.push(chunk)
    if (source.position > MOST_BYTES) throw new UsageError(`Cannot read ${source.label}: it has more than 16 MiB`)
  }
  return decode(Buffer.concat(chunks)) ?? refuse(source.label, 'it is not UTF-8')
}

/** Bytes as text, or `undefined` if they are not UTF-8. */
export function decode(bytes: Buffer): string | undefined {
  try {
    return UTF_8.decode(bytes)
  } catch {
    return undefined
  }
}

/** More than any payload may have, even with much white space. */
export const MOST_BYTES: number = 16 * 2 ** 20

const UTF_8 = new TextDecoder('utf-8', { fatal: true })

interface Opened {
  readonly stream: Readable
  readonly stats: Stats
}

function openInput(): Opened {
  return { stream: process.stdin, stats: fstatSync(0) }
}

function openFile(name: string): Opened {
  const stats = statSync(name)
  if (!stats.isFIFO()) return { stream: createReadStream(name), stats }
  // Read as a file, a pipe with a slow writer would keep the process from ending.
  const fd = openSync(name, constants.O_RDONLY | constants.O_NONBLOCK)
  return { stream: new Socket({ fd, readable: true, writable: false }), stats }
}

function attempt<Result>(label: string, work: () => Result): Result {
  try {
    return work()
  } catch (error) {
    throw explain(label, error)
  }
}

function explain(label: string, error: unknown): unknown {
  if (!(error instanceof Error) || !('code' in error)) return error
  return new UsageError(`Cannot read ${label}: ${REASONS.get(error.code) ?? error.message}`)
}

function refuse(label: string, reason: string): never {
  throw new UsageError(`Cannot read ${label}: ${reason}`)
}

const REASONS: ReadonlyMap<unknown, string> = new Map([
  ['ENOENT', 'there is no such file'],
  ['ENOTDIR', 'there is no such file'],
  ['EISDIR', 'it is a directory'],
  ['EACCES', 'it may not be read'],
  ['EPERM', 'it may not be read']
])
