import { Buffer } from 'node:buffer'
import { GROUP_LIMIT, type NewJob } from '../sql/jobs/add.ts'
import type { AlikeJobs } from '../sql/jobs/add-alike.ts'

/** The jobs of one statement, in order. */
export type Chunk = readonly NewJob[] | AlikeJobs

/** The most characters of payload in one statement, unless a single job has more. */
export const CHUNK_SIZE: number = 2 ** 21

/** Reads chunks on demand. */
export interface ChunkReader {
  /** Reads the next chunk; `undefined` at the end. */
  read(): Promise<Chunk | undefined>
  /** Closes the iterable, as a `break` in a loop does. */
  leave(): Promise<void>
}

/** Gathers jobs or payloads into a chunk. */
export interface Gatherer<Thing> {
  /** Adds one, or returns false if the chunk is full. An empty chunk is never full. */
  add(thing: Thing): boolean
  /** Returns the chunk, unless it is empty, and begins the next. */
  take(): Chunk | undefined
}

/**
 * Reads an iterable as far as each chunk needs. It awaits only promises of the iterable: with millions of items, further
 * promises would be most of the work and of the memory.
 */
export function readChunks<Item, Thing>(
  items: Iterable<Item> | AsyncIterable<Item>,
  make: (item: Item) => Thing | Promise<Thing>,
  gatherer: Gatherer<Thing>
): ChunkReader {
  const isAsync = Symbol.asyncIterator in items
  const iterator = isAsync ? items[Symbol.asyncIterator]() : items[Symbol.iterator]()
  let isOpen = true

  return {
    async read() {
      while (isOpen) {
        isOpen = false // An iterator that throws is closed.
        const next = iterator.next()
        const { done, value } = isAsync ? await next : (next as IteratorResult<Item>)
        if (done) break
        isOpen = true
        const making = make(value)
        const thing = making instanceof Promise ? await making : making
        if (gatherer.add(thing)) continue
        const chunk = gatherer.take()
        gatherer.add(thing)
        return chunk
      }
      return gatherer.take()
    },
    async leave() {
      if (!isOpen) return
      isOpen = false
      await iterator.return?.()
    }
  }
}

/** Gathers jobs of any kind. */
export function gatherJobs(): Gatherer<NewJob> {
  let jobs: NewJob[] = []
  let size = 0
  return {
    add(job) {
      if (jobs.length === GROUP_LIMIT || (jobs.length > 0 && size + job.payload.length > CHUNK_SIZE)) return false
      jobs.push(job)
      size += job.payload.length
      return true
    },
    take() {
      const chunk = jobs
      jobs = []
      size = 0
      return chunk.length > 0 ? chunk : undefined
    }
  }
}

/**
 * Gathers the payloads of jobs that share all other options, as bytes in one buffer. A thousand strings per chunk would
 * make the JavaScript engine claim ever more memory.
 */
export function gatherPayloads(shared: AlikeJobs['shared']): Gatherer<string> {
  let bytes = Buffer.allocUnsafe(2 ** 16)
  let end = 0
  let size = 0
  let count = 0
  return {
    add(payload) {
      if (count === GROUP_LIMIT || (count > 0 && size + payload.length > CHUNK_SIZE)) return false
      const most = end + payload.length * 3 + 2
      if (most > bytes.length) {
        const larger = Buffer.allocUnsafe(most * 2)
        bytes.copy(larger, 0, 0, end)
        bytes = larger
      }
      bytes[end++] = count === 0 ? BRACKET : COMMA
      end += bytes.write(payload, end)
      size += payload.length
      count++
      return true
    },
    take() {
      if (count === 0) return undefined
      bytes[end++] = CLOSING_BRACKET
      const chunk = { shared, payloads: bytes.toString('utf8', 0, end), count }
      end = 0
      size = 0
      count = 0
      return chunk
    }
  }
}

const [BRACKET, COMMA, CLOSING_BRACKET] = [0x5b, 0x2c, 0x5d]
