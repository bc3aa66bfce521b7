import type { Server } from '../helpers/server.ts'
import type { Verdict } from './verdict.ts'

/** How thorough a pass is. */
export type Scale = 'short' | 'full'

/** What a fault is given. */
export interface Round {
  readonly server: Server
  readonly scale: Scale
  /** A number from 0 up to 1, the same again for the same seed. */
  random(): number
}

/** What became of it. */
export interface Outcome {
  readonly rounds: number
  readonly verdict: Verdict
  /** From the fault's end, or the kill, until all was well again. */
  readonly recoveryMs: number
  /** What else a reader of the table may want to know. */
  readonly note?: string
}

/** A fault that is provoked, and what must hold all the same. */
export interface Fault {
  /** What happens, and what must not come of it, as a sentence. */
  readonly name: string
  /** Needs the server, or the machine, to itself. */
  readonly isAlone: boolean
  /** Throws if what must hold does not. */
  run(round: Round): Promise<Outcome>
}

/** A generator of random numbers that gives the same ones for the same seed (mulberry32). */
export function createRandom(seed: number): () => number {
  let state = seed | 0
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** The seed of this pass: KRETES_CHAOS_SEED, or any. */
export function chooseSeed(): number {
  const given = process.env.KRETES_CHAOS_SEED
  return given ? Number(given) : Math.floor(Math.random() * 2 ** 31)
}

/** Adds up the verdicts of several rounds. */
export function addUp(verdicts: readonly Verdict[]): Verdict {
  const total: Record<string, number> = {}
  for (const verdict of verdicts) {
    for (const [name, count] of Object.entries(verdict)) total[name] = (total[name] ?? 0) + count
  }
  return total as unknown as Verdict
}

/**
 * Fails unless something took no longer than it may. The full pass has the machine to itself. The short pass shares it,
 * and finds out only what is lost, runs twice or never ends.
 */
export function within(limitMs: number, tookMs: number, what: string, scale: Scale): void {
  if (scale === 'full' && tookMs > limitMs) {
    throw new Error(`${what} took ${Math.round(tookMs)} ms, more than ${limitMs}`)
  }
}
