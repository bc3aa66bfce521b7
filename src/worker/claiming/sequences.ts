import { setTimeout as sleep } from 'node:timers/promises'
import { claimingTimings } from '../../rules/timings.ts'
import type { Claim, Lane } from '../execution/claim.ts'
import { takeFollowers } from './claims.ts'

/** The options of {@linkcode createSequences}. */
export interface SequencesOptions {
  /** How long the jobs of a sequence may wait for the jobs before them, in milliseconds. */
  readonly giveBackAfterMs: number
  /** Runs a job to its end. */
  perform(claim: Claim): Promise<void>
  /** Writes how jobs ended. Rejects only if the worker stops. */
  settle(claims: readonly Claim[]): Promise<void>
  /** Unlocks jobs that have not begun, and leaves their queue locked. Rejects only if the worker stops. */
  giveBack(claims: readonly Claim[]): Promise<void>
  /** Whether a job may begin now. Those that may not are given back. */
  mayBegin(claim: Claim): boolean
  /** Aborts when the worker begins no more jobs. */
  readonly draining: AbortSignal
}

/** Runs jobs of a queue that were claimed together, one after another. The engine knows only the first of them. */
export interface Sequences {
  /** The maximum number of jobs for the next sequence of a slow queue, by the id of the queue. */
  readonly most: ReadonlyMap<number, number>
  /** Runs a job and then its followers. */
  run(first: Claim): Promise<void>
  /**
   * Returns the jobs of a sequence that has run whose endings are not written yet, by the id of its first job. Each call
   * returns another sequence.
   */
  takeEnded(first: string): Ended | undefined
}

/** A sequence that is over. */
export interface Ended {
  /** The jobs whose endings are not written yet. */
  readonly claims: readonly Claim[]
  /** The lane of its jobs, if they have limits. */
  readonly lane: Lane | undefined
}

/**
 * A fetch takes as many jobs of a queue as it can. If they take too long, those that have not begun are given back, so
 * that they can be changed, and more urgent jobs can come before them. The next fetches then take fewer of this queue.
 *
 * The endings of a sequence are written together when it is over. A long sequence writes them in parts meanwhile.
 */
export function createSequences(options: SequencesOptions): Sequences {
  const { giveBackAfterMs, perform, settle, giveBack, draining } = options
  const running = new Set<Sequence>()
  const ended = new Map<string, Ended[]>()
  const most = new Map<number, number>()
  let isWriting = false

  function run(first: Claim): Promise<void> {
    const { queueId, followers } = first
    if (!options.mayBegin(first)) return refuse(first)
    const isAlone = queueId === null || (followers.length === 0 && !most.has(queueId))
    return isAlone ? perform(first) : runAll(first, queueId)
  }

  /** Gives back a sequence that may not begin any more. */
  async function refuse(first: Claim): Promise<void> {
    await giveBack([first, ...takeFollowers(first)]).catch(() => {})
    end(first, [])
  }

  function end({ job: { id }, lane }: Claim, claims: readonly Claim[]): void {
    ended.set(id, [...(ended.get(id) ?? []), { claims, lane }])
  }

  async function runAll(first: Claim, queue: number): Promise<void> {
    const sequence = new Sequence(first, options)
    running.add(sequence)
    try {
      await perform(first)
      for (let next = sequence.next(); next; next = sequence.next()) {
        if (!isWriting) void writeParts()
        await perform(next)
      }
    } finally {
      running.delete(sequence)
      learn(queue, sequence)
      // The end of the last job unlocks the queue, so everything else is written before.
      await sequence.end()
      end(first, sequence.take())
    }
  }

  /** Writes the endings of the sequences that run, until there are none to write. */
  async function writeParts(): Promise<void> {
    isWriting = true
    for (;;) {
      await sleep(claimingTimings.partMs)
      const parts = [...running].map(sequence => ({ sequence, claims: sequence.take() }))
      const claims = parts.flatMap(part => part.claims)
      if (claims.length === 0) break
      // If the worker stops meanwhile, it writes these endings when it releases its jobs.
      const write = settle(claims).catch(() => {})
      for (const { sequence, claims } of parts) if (claims.length > 0) sequence.hold(write)
      await write
    }
    isWriting = false
  }

  function learn(queue: number, { begun, wasTooLong, durationMs }: Sequence): void {
    const known = most.get(queue)
    most.delete(queue)
    if (wasTooLong) most.set(queue, begun)
    else if (known !== undefined && known < ENOUGH)
      most.set(queue, durationMs < giveBackAfterMs / 4 ? known * 2 : known)
    const [oldest] = most.keys()
    if (oldest !== undefined && most.size > MOST_QUEUES) most.delete(oldest)
  }

  draining.addEventListener('abort', () => {
    for (const sequence of running) sequence.cut()
  })
  return {
    most,
    run,
    takeEnded(first) {
      const sequences = ended.get(first)
      const sequence = sequences?.shift()
      if (sequences?.length === 0) ended.delete(first)
      return sequence
    }
  }
}

/** The jobs of one queue from one fetch, while they run. */
class Sequence {
  /** How many of the jobs have begun. */
  begun = 1
  /** Whether jobs were given back because those before them took too long. */
  wasTooLong = false
  readonly #options: SequencesOptions
  readonly #beganMs = performance.now()
  readonly #timer: NodeJS.Timeout
  #isOver = false
  /** The jobs that have begun and whose endings are not written yet. The last one may still run. */
  #unwritten: Claim[]
  readonly #first: Claim
  /** What must be written before the sequence ends. */
  #writes: Promise<void>[] = []

  constructor(first: Claim, options: SequencesOptions) {
    this.#options = options
    this.#unwritten = [first]
    this.#first = first
    const beginByMs = first.counted?.beginByMs ?? Number.POSITIVE_INFINITY
    this.#timer = setTimeout(() => this.#cutLate(), Math.min(options.giveBackAfterMs, beginByMs - performance.now()))
  }

  get durationMs(): number {
    return performance.now() - this.#beganMs
  }

  /** The next job to run. */
  next(): Claim | undefined {
    // A task that blocks the event loop delays the timer.
    if (this.#options.draining.aborted) this.cut()
    else if (this.durationMs > this.#options.giveBackAfterMs) {
      this.#cutLate()
      return undefined
    }
    const [next] = this.#first.followers
    if (!next) return undefined
    if (!this.#options.mayBegin(next)) {
      this.cut()
      return undefined
    }
    this.#first.followers.shift()
    const last = this.#unwritten.at(-1)
    if (last) last.keepsQueue = true
    this.begun++
    this.#unwritten.push(next)
    return next
  }

  /** Returns the jobs whose endings can be written now, once. Before the end of the sequence, its last job is not among them. */
  take(): readonly Claim[] {
    const { length } = this.#unwritten
    return this.#unwritten.splice(0, this.#isOver ? length : length - 1)
  }

  /** Lets the end of the sequence wait for a write. */
  hold(write: Promise<void>): void {
    this.#writes.push(write)
  }

  /** Gives back the jobs that have not begun. */
  cut(): void {
    const rest = takeFollowers(this.#first)
    if (rest.length === 0) return
    // If the worker stops meanwhile, it releases these jobs together with all others.
    this.hold(this.#options.giveBack(rest).catch(() => {}))
  }

  /** Resolves when all writes that the sequence has begun are done. */
  async end(): Promise<void> {
    clearTimeout(this.#timer)
    this.cut()
    this.#isOver = true
    await Promise.all(this.#writes)
  }

  #cutLate(): void {
    this.wasTooLong ||= this.#first.followers.some(({ fetch }) => fetch === this.#first.fetch)
    this.cut()
  }
}

/** A queue whose sequences may be this long is not slow. */
const ENOUGH = 1_000

/** How many slow queues are remembered. */
const MOST_QUEUES = 1_000
