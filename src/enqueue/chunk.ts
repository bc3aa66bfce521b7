import { Buffer } from 'node:buffer'
import { GROUP_LIMIT, type NewJob } from '../sql/jobs/add.ts'
import type { AlikeJobs } from '../sql/jobs/add-alike.ts'

/** As many jobs as fit into one statement, in order. */
export type Chunk = readonly NewJob[] | AlikeJobs

/** How many characters of payload go into one statement, unless a single job has more. */
export const CHUNK_SIZE: number = 2 ** 21

/** Chunks that are put together as they are asked for. */
export interface ChunkReader {
  /** The next one; `undefined` at the end. */
  read(): Promise<Chunk | undefined>
  /** Leaves the iterable as a loop that breaks would leave it. */
  leave(): Promise<void>
}

/** Gathers things until they are a chunk. */
export interface Gatherer<Thing> {
  /** Takes one in, or refuses it because the chunk is full; an empty one is never full. */
  add(thing: Thing): boolean
  /** The chunk so far, if there is any, and begins the next. */
  take(): Chunk | undefined
}

/**
 * Reads an iterable as far as each chunk needs. No promise is made that the iterable does not give: with millions of
 * items, those would be most of the work and of the memory.
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
        isOpen = false // What throws by itself has ended.
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
 * Gathers the payloads of jobs that have all else in common. As bytes, in the same place again and again: a thousand
 * texts that live as long as their chunk does make the engine of JavaScript claim ever more memory.
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
