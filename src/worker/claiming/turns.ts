import { claimingTimings } from '../../rules/timings.ts'

/** What a claim has got from a lane. */
export interface Outcome {
  /** How many slots it has left for others. */
  readonly spare: number
  /** Whether the lane has more jobs than the claim has got. */
  readonly isLonger: boolean
}

/**
 * Whose turn it is among the lanes that a worker knows. A lane is in the ring and waits for its turn, or it was tried:
 *
 * - `full`: the worker got all of its slots. It waits until one of them is free
 * - `stalled`: it waits for a slot of a limit that it shares with other lanes
 * - `blocked`: it left nothing. It is tried again after a pause, which grows
 *
 * News, which may mean free slots, shortens all that.
 */
export interface Turns {
  /** How many lanes are in the ring. */
  readonly count: number
  /** Takes the next lanes from the ring. */
  take(most: number): readonly number[]
  /** Puts lanes that were not tried in front again. */
  putBack(lanes: readonly number[]): void
  /** Call with lanes that were tried, and got a slot. */
  got(lane: number, outcome: Outcome): void
  /** Call with lanes that were tried, and got nothing: all slots of a limit that they share are in use, or their own. */
  gotNothing(lanes: readonly { readonly id: number; readonly isStalled: boolean }[], isVain: boolean): void
  /**
   * Adds lanes that have due jobs to the ring, unless it is too early to try them again.
   *
   * @param areAll whether no other lanes have any
   */
  found(lanes: readonly number[], areAll: boolean): void
  /** Call when slots of the worker are free again. */
  freed(lanes: readonly number[]): void
  /** Call when jobs may have been scheduled, or slots of others may be free. */
  news(): void
  /** In how many milliseconds a lane can be tried again. */
  readonly untilNextMs: number
}

/**
 * Creates the turns of a worker.
 *
 * @param pollIntervalMs the longest pause
 * @param holds whether the worker has slots of a lane
 */
export function createTurns(pollIntervalMs: number, holds: (lane: number) => boolean): Turns {
  let ring: number[] = []
  const full = new Map<number, Pause>()
  const longer = new Set<number>()
  const blocked = new Map<number, Pause>()
  let stalled: number[] = []
  let stall: Pause | undefined
  let newsMs = Number.NEGATIVE_INFINITY

  /** When a pause ends: earlier after news. */
  function endOf({ sinceMs, untilMs }: Pause): number {
    return newsMs > sinceMs ? Math.min(untilMs, sinceMs + claimingTimings.longestRestMs) : untilMs
  }

  function isPausing(pause: Pause): boolean {
    return performance.now() < endOf(pause)
  }

  function longerPause(last: Pause | undefined): Pause {
    const sinceMs = performance.now()
    const lengthMs = Math.min(last ? last.lengthMs * 2 : claimingTimings.longestRestMs, pollIntervalMs)
    return { sinceMs, lengthMs, untilMs: sinceMs + lengthMs }
  }

  function isTooEarly(lane: number): boolean {
    const pause = (holds(lane) ? full.get(lane) : undefined) ?? blocked.get(lane)
    return pause !== undefined && isPausing(pause)
  }

  function endStall(): void {
    ring = [...stalled, ...ring]
    stalled = []
  }

  return {
    get count() {
      return ring.length
    },
    take: most => ring.splice(0, most),
    putBack(lanes) {
      ring = [...lanes, ...ring]
    },
    got(lane, { spare, isLonger }) {
      blocked.delete(lane)
      if (spare > 0) full.delete(lane)
      else full.set(lane, whileHeld())
      if (isLonger) longer.add(lane)
      else longer.delete(lane)
      if (isLonger && spare > 0) ring.push(lane)
    },
    gotNothing(lanes, isVain) {
      for (const { id, isStalled } of lanes) {
        if (full.has(id)) full.set(id, whileHeld())
        if (isStalled) stalled.push(id)
        else blocked.set(id, longerPause(blocked.get(id)))
      }
      if (lanes.some(({ isStalled }) => isStalled)) stall = longerPause(isVain ? stall : undefined)
    },
    found(lanes, areAll) {
      if (stall && !isPausing(stall)) endStall()
      const known = new Set([...ring, ...stalled])
      const fresh = lanes.filter(lane => !known.has(lane) && !isTooEarly(lane))
      for (const lane of fresh) ring.push(lane)
      if (areAll) {
        const due = new Set(lanes)
        for (const lane of blocked.keys()) if (!due.has(lane)) blocked.delete(lane)
      }
    },
    freed(lanes) {
      const known = new Set(ring)
      for (const lane of lanes) {
        full.delete(lane)
        blocked.delete(lane)
        if (longer.has(lane) && !known.has(lane)) ring.push(lane)
      }
      stall = undefined
      endStall()
    },
    news() {
      newsMs = performance.now()
    },
    get untilNextMs() {
      const nowMs = performance.now()
      const pauses = [...blocked.values(), ...full.values(), ...(stalled.length > 0 && stall ? [stall] : [])]
      const endMs = pauses.reduce((least, pause) => Math.min(least, endOf(pause)), nowMs + pollIntervalMs)
      return Math.max(endMs - nowMs, claimingTimings.delayMs)
    }
  }
}

function whileHeld(): Pause {
  return { sinceMs: performance.now(), untilMs: Number.POSITIVE_INFINITY, lengthMs: 0 }
}

/** Between two tries of a lane. */
interface Pause {
  readonly sinceMs: number
  readonly untilMs: number
  readonly lengthMs: number
}
