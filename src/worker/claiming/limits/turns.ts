import { claimingTimings } from '../../../rules/timings.ts'

/** What a claim has got from a lane. */
export interface Outcome {
  /** How many slots it has left for others. */
  readonly spare: number
  /** Whether the lane has more jobs than the claim has got. */
  readonly isLonger: boolean
  /** If no more jobs of the lane may begin now: in how many milliseconds the next one may. */
  readonly readyMs: number | null
}

/** What a claim has got from a lane, and how many turns the lane has in each round. */
export interface Turn extends Outcome {
  readonly weight: number
}

/** A lane that was tried in vain. */
export interface Vain {
  readonly id: number
  /** Whether all slots of a limit that it shares with other lanes are in use. */
  readonly isStalled: boolean
  /** In how many milliseconds a job of it may begin, if that is known. */
  readonly readyMs: number | null
}

/**
 * Whose turn it is among the lanes that a worker knows. A lane is in the ring and waits for its turn, or it was tried:
 *
 * - `full`: the worker got all of its slots. It waits until one of them is free
 * - `stalled`: it waits for a slot of a limit that it shares with other lanes
 * - `blocked`: it left nothing. It is tried again after a pause, which grows
 * - `resting`: no more of its jobs may begin for now, by a rate or a hold. It is tried again when the next one may
 *
 * News, which may mean free slots, shortens all that but the rests.
 */
export interface Turns {
  /** How many lanes are in the ring. */
  readonly count: number
  /** Takes the next lanes from the ring. */
  take(most: number): readonly number[]
  /** Puts lanes that were not tried in front again. */
  putBack(lanes: readonly number[]): void
  /** Call with lanes that were tried, and got a slot. */
  got(lane: number, turn: Turn): void
  /** Call with lanes that were tried, and got nothing. */
  gotNothing(lanes: readonly Vain[], isVain: boolean): void
  /**
   * Adds lanes that have due jobs to the ring, unless it is too early to try them again.
   *
   * @param areAll whether no other lanes have any
   */
  found(lanes: readonly number[], areAll: boolean): void
  /** Ends the rests of these lanes; without lanes, of all. */
  endRests(lanes?: readonly number[]): void
  /** Call when slots of the worker are free again. */
  freed(lanes: readonly number[]): void
  /** Call when jobs may have been scheduled, or slots of others may be free. */
  news(): void
  /** In how many milliseconds a lane can be tried again. */
  readonly untilNextMs: number
  /** When the next rest of a lane ends, by `performance.now()`. */
  readonly nextRestMs: number
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
  const resting = new Map<number, Rest>()
  let nextRestMs = Number.POSITIVE_INFINITY
  /** How many more turns lanes have in front of the ring before they go to its end. */
  const turnsLeft = new Map<number, number>()
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
    if (resting.has(lane)) return true
    const pause = (holds(lane) ? full.get(lane) : undefined) ?? blocked.get(lane)
    return pause !== undefined && isPausing(pause)
  }

  /** Puts a lane that has had a turn into the ring again. */
  function enter(lane: number): void {
    if (turnsLeft.has(lane)) ring.unshift(lane)
    else ring.push(lane)
  }

  function countTurn(lane: number, weight: number): void {
    const left = (turnsLeft.get(lane) ?? weight) - 1
    if (left > 0) turnsLeft.set(lane, left)
    else turnsLeft.delete(lane)
  }

  function endStall(): void {
    ring = [...stalled, ...ring]
    stalled = []
  }

  /** A rest is no longer than a poll interval, because the notification of a change may be lost. */
  function rest(lane: number, readyMs: number, hasGot: boolean): void {
    const untilMs = performance.now() + Math.min(Math.max(readyMs, LEAST_REST_MS), pollIntervalMs)
    resting.set(lane, { untilMs, hasGot })
    nextRestMs = Math.min(nextRestMs, untilMs)
  }

  /** Those that have got nothing come first, in the order in which they were tried, and those that have got jobs last. */
  function wakeRested(): void {
    const nowMs = performance.now()
    if (nowMs < nextRestMs) return
    const over = [...resting].filter(([, { untilMs }]) => untilMs <= nowMs)
    for (const [lane] of over) resting.delete(lane)
    nextRestMs = Number.POSITIVE_INFINITY
    for (const { untilMs } of resting.values()) nextRestMs = Math.min(nextRestMs, untilMs)
    const part = (isLast: boolean): number[] => over.flatMap(([lane, { hasGot }]) => (hasGot === isLast ? lane : []))
    ring = [...part(false), ...ring, ...part(true)]
  }

  return {
    get count() {
      wakeRested()
      return ring.length
    },
    take(most) {
      wakeRested()
      return ring.splice(0, most)
    },
    putBack(lanes) {
      ring = [...lanes, ...ring]
    },
    got(lane, { spare, isLonger, readyMs, weight }) {
      blocked.delete(lane)
      countTurn(lane, isLonger ? weight : 1)
      if (readyMs !== null) {
        full.delete(lane)
        longer.delete(lane)
        rest(lane, readyMs, true)
        return
      }
      if (spare > 0) full.delete(lane)
      else full.set(lane, whileHeld())
      if (isLonger) longer.add(lane)
      else longer.delete(lane)
      if (isLonger && spare > 0) enter(lane)
    },
    gotNothing(lanes, isVain) {
      for (const { id, isStalled, readyMs } of lanes) {
        if (full.has(id)) full.set(id, whileHeld())
        turnsLeft.delete(id)
        if (readyMs !== null) rest(id, readyMs, false)
        else if (isStalled) stalled.push(id)
        else blocked.set(id, longerPause(blocked.get(id)))
      }
      if (lanes.some(({ isStalled, readyMs }) => isStalled && readyMs === null))
        stall = longerPause(isVain ? stall : undefined)
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
    endRests(lanes = [...resting.keys()]) {
      for (const lane of lanes) {
        const rest = resting.get(lane)
        if (rest) resting.set(lane, { ...rest, untilMs: 0 })
      }
      if (lanes.length > 0) nextRestMs = 0
    },
    freed(lanes) {
      const known = new Set(ring)
      for (const lane of lanes) {
        full.delete(lane)
        blocked.delete(lane)
        if (longer.has(lane) && !known.has(lane) && !resting.has(lane)) enter(lane)
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
    },
    get nextRestMs() {
      return nextRestMs
    }
  }
}

function whileHeld(): Pause {
  return { sinceMs: performance.now(), untilMs: Number.POSITIVE_INFINITY, lengthMs: 0 }
}

/** A database that has counted jobs at another time than expected is asked again after this time, at the earliest. */
const LEAST_REST_MS = 10

/** Until jobs of a lane may begin. */
interface Rest {
  readonly untilMs: number
  readonly hasGot: boolean
}

/** Between two tries of a lane. */
interface Pause {
  readonly sinceMs: number
  readonly untilMs: number
  readonly lengthMs: number
}
