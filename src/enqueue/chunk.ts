import { GROUP_LIMIT, type NewJob } from '../sql/add.ts'

/** As many jobs as fit into one statement, in order. */
export type Chunk = readonly NewJob[]

/** How many characters of payload go into one statement, unless a single job has more. */
export const CHUNK_SIZE: number = 2 ** 21

/** Reads jobs as they are needed, and cuts them into chunks. */
export async function* toChunks<Item>(
  items: Iterable<Item> | AsyncIterable<Item>,
  toJob: (item: Item) => NewJob | Promise<NewJob>
): AsyncGenerator<Chunk> {
  let jobs: NewJob[] = []
  let size = 0
  function add(job: NewJob): Chunk | undefined {
    const isFull = jobs.length === GROUP_LIMIT || (jobs.length > 0 && size + job.payload.length > CHUNK_SIZE)
    const full = isFull ? jobs : undefined
    if (full) {
      jobs = []
      size = 0
    }
    jobs.push(job)
    size += job.payload.length
    return full
  }
  if (Symbol.asyncIterator in items) {
    for await (const item of items) {
      const full = add(await toJob(item))
      if (full) yield full
    }
  } else {
    // Many are plain arrays, for which waiting at each item would take longer than the item.
    for (const item of items) {
      const job = toJob(item)
      const full = add(job instanceof Promise ? await job : job)
      if (full) yield full
    }
  }
  if (jobs.length > 0) yield jobs
}
