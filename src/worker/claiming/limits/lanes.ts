import type { NamedLimit } from '../../../limit/lane.ts'
import { claimingTimings } from '../../../rules/timings.ts'
import type { Choice } from '../../../sql/flow/choice.ts'
import { claimLanes, findLanes, type LaneJob, releaseLanes, releaseOtherLanes } from '../../../sql/flow/lanes.ts'
import { forgetClaims } from '../../../sql/flow/rates.ts'
import type { Execute } from '../../../sql/statement.ts'
import type { ClaimedJob, ClaimRest } from '../../../sql/worker/claim.ts'
import type { Hold } from '../../../sql/worker/ending.ts'
import type { Engine } from '../../engine/engine.ts'
import type { Claim, Lane } from '../../execution/claim.ts'
import type { Claims } from '../claims.ts'
import { createHolds } from './holds.ts'
import { readLanes } from './rows.ts'
import { createTurns, type Vain } from './turns.ts'

/** The options of {@linkcode createLanes}. */
export interface LanesOptions {
  readonly execute: Execute
  readonly schema: string
  readonly engine: Pick<Engine, 'id' | 'isHungry' | 'wake'>
  readonly choice: Choice
  readonly claims: Claims
  /** The maximum number of jobs for each slot of slow lanes, by the id of the lane. */
  readonly most: ReadonlyMap<number, number>
  /** The longest pause between two tries of a blocked lane, in milliseconds. */
  readonly pollIntervalMs: number
  /** Puts jobs into lanes. */
  file(): Promise<void>
  /** Repeats work until it is done or the worker stops. */
  insist(work: () => Promise<unknown>): Promise<unknown>
  /** Returns the limits of a task. */
  limitsOf(task: string): readonly NamedLimit[]
  /** Returns how many turns the key of a task has in each round. The jobs of a queue have no task. */
  weightOf(task: string | null, key: string): number
  /** Called when jobs of a lane may begin now. */
  onReady(): void
  /** Called when slots are free that this worker has held. */
  onFreed(): void
}

/** How much a worker can take. */
export interface Room {
  readonly slots: number
  readonly jobs: number
}

/** Jobs of lanes that a worker has claimed. */
export interface LaneClaim {
  /** Those that the engine is to run. */
  readonly firsts: readonly ClaimedJob[]
  /** How many jobs were claimed. */
  readonly count: number
}

/** Claims jobs with limits, and gives back the slots that they have held. */
export interface Lanes {
  /** Whether there probably are jobs in lanes. */
  readonly areExpected: boolean
  /** Whether there are lanes that the worker has found and not tried, or it is time to look for others. */
  readonly areWaiting: boolean
  /** Call with what a claim of other jobs has found. */
  learn(rest: ClaimRest): void
  claim(room: Room): Promise<LaneClaim>
  /** Call when jobs may have been scheduled, or slots may be free. */
  expect(): void
  /** Call when a job comes due. The next fetch then looks for lanes. */
  look(): void
  /** Call when the engine is done with jobs: of the lanes of those that have one, a slot is not in use any more. */
  release(lanes: readonly (Lane | undefined)[]): void
  /** Whether a job may begin now: its limits are not held, and the database still counts on it. */
  mayBegin(claim: Claim): boolean
  /** Lets no fetched job of a limit begin in this worker: a run has asked to hold the limit. */
  hold(claim: Claim, hold: Hold): void
  /** Call when the database knows of the holds of claims. It decides about jobs that are fetched from now on. */
  held(claims: readonly Claim[]): void
  /** Call when limits may have been changed. */
  changed(): void
  /** Call when jobs were given back. If they have a rate, others of their lanes may begin now. */
  returned(claims: readonly Claim[]): void
  /** Removes leases that the database may have given the worker for a claim whose answer was lost. */
  recover(): Promise<void>
  stop(): void
}

/**
 * The worker goes round the lanes that have due jobs, so that keys take turns. It asks for a few lanes at a time. Of each
 * lane it gets as many slots as the limits leave, and a run of jobs for each slot. When it holds fewer jobs of a lane than
 * slots, it gives the others back, and any worker can have them.
 */
export function createLanes(options: LanesOptions): Lanes {
  const { execute, schema, engine, choice, claims, most, insist } = options
  const turns = createTurns(options.pollIntervalMs, lane => claims.lanes.has(lane))
  /** The number of the last row of starts that a claim may have made, and those of claims without an answer. */
  let number = 0
  let lost: { after: number; to: number }[] = []
  /** The next look begins after this lane. */
  let cursor = 0
  let found: Pick<ClaimRest, 'hasLanes' | 'hasUnfiled'> = { hasLanes: false, hasUnfiled: false }
  let nextLookMs = Number.NEGATIVE_INFINITY
  let timer: NodeJS.Timeout | undefined
  let timerMs = 0
  /** Claims and releases happen one after another: a release says how many slots the worker keeps. */
  let turn: Promise<unknown> = Promise.resolve()
  let isReleasing = false
  const holds = createHolds(options.limitsOf)
  let changing: NodeJS.Timeout | undefined
  let lastChangeMs = Number.NEGATIVE_INFINITY
  /** Whether a fetch had no room for jobs of lanes. */
  let isOwed = false

  function inTurn<Result>(work: () => Promise<Result>): Promise<Result> {
    const result = turn.then(work)
    turn = result.catch(() => {})
    return result
  }

  /** Finds lanes with due jobs, a part of them at a time. */
  async function look(): Promise<void> {
    const beganMs = performance.now()
    const rows = await execute<{ id: number }>(findLanes(schema, choice, { after: cursor, most: MOST_FOUND }))
    const isRound = cursor === 0 && rows.length < MOST_FOUND
    cursor = rows.length < MOST_FOUND ? 0 : rows.at(-1)!.id
    turns.found(
      rows.map(({ id }) => id),
      isRound
    )
    const endedMs = performance.now()
    const pauseMs = turns.count > 0 || cursor > 0 ? claimingTimings.delayMs : turns.untilNextMs
    nextLookMs = endedMs + Math.max(pauseMs, (endedMs - beganMs) * LOOK_FACTOR)
  }

  /** Lets the next look be soon. */
  function lookWithin(ms: number): void {
    nextLookMs = Math.min(nextLookMs, performance.now() + ms)
    if (timer) lookLater()
  }

  /** A worker that fetches nothing looks again in time, and tries lanes again when their rests end. */
  function lookLater(): void {
    const atMs = Math.min(nextLookMs, turns.nextRestMs)
    if (timer && timerMs <= atMs) return
    clearTimeout(timer)
    timerMs = atMs
    timer = setTimeout(
      () => {
        timer = undefined
        if (!engine.isHungry) return
        if (turns.nextRestMs <= performance.now()) options.onReady()
        else engine.wake()
      },
      Math.max(1, atMs - performance.now())
    )
    timer.unref()
  }

  async function claimNext({ slots, jobs }: Room): Promise<LaneClaim> {
    const batch = turns.take(MOST_LANES)
    if (batch.length === 0) return NOTHING
    const { beginWithinMs } = claimingTimings
    const request = { worker: engine.id, lanes: batch, choice, slots, jobs, run: RUN, most, number, beginWithinMs }
    number += MOST_LANES
    // Before the claim, so that jobs with a rate begin no later than the database expects.
    const claimedMs = performance.now()
    const rows = await execute<LaneJob>(claimLanes(schema, request)).catch(error => {
      const last = lost.at(-1)
      if (last?.to === request.number) last.to = number
      else lost.push({ after: request.number, to: number })
      throw error
    })
    const { found, lanes, idle } = readLanes(rows)
    const granted = [...lanes.values()].reduce((sum, lane) => sum + lane.slots, 0)
    // A claim that has got enough has not tried the lanes after the last one.
    const isEnough = granted >= slots || found.length >= jobs
    const tried = isEnough ? batch.findLastIndex(lane => lanes.has(lane)) + 1 : batch.length
    turns.putBack(batch.slice(tried))
    const others: Vain[] = []
    for (const id of batch.slice(0, tried)) {
      const lane = lanes.get(id)
      if (lane) turns.got(id, { ...lane, weight: options.weightOf(lane.task, lane.key) })
      else others.push({ id, isStalled: idle.has(id), readyMs: idle.get(id) ?? null })
    }
    turns.gotNothing(others, lanes.size === 0)
    return { firsts: claims.add(found, { claimedMs, beginByMs: claimedMs + beginWithinMs }), count: found.length }
  }

  async function release(): Promise<void> {
    const over = [...claims.lanes.values()].flatMap(({ id, slots, used }) => (used < slots ? { id, slots: used } : []))
    if (over.length === 0) return
    await insist(() => execute(releaseLanes(schema, engine.id, over)))
    for (const { id, slots } of over) {
      claims.lanes.get(id)!.slots = slots
      if (slots === 0) claims.lanes.delete(id)
    }
    turns.freed(over.map(({ id }) => id))
    lookWithin(0)
    options.onFreed()
  }

  return {
    get areExpected() {
      return found.hasLanes || found.hasUnfiled || turns.count > 0
    },
    get areWaiting() {
      // A look that was due during a fetch has not woken the engine.
      const isLookDue = found.hasLanes && !isOwed && performance.now() >= nextLookMs
      return turns.count > 0 || isLookDue
    },
    learn(rest) {
      if (rest.hasLanes && !found.hasLanes) lookWithin(0)
      found = rest
    },
    claim: room =>
      inTurn(async () => {
        if (found.hasUnfiled) {
          await options.file()
          found = { hasLanes: true, hasUnfiled: false }
          lookWithin(0)
        }
        isOwed = found.hasLanes && room.slots <= 0
        if (room.slots <= 0 || room.jobs <= 0) return NOTHING
        if (found.hasLanes && turns.count < MOST_LANES && performance.now() >= nextLookMs) await look()
        const claimed = await claimNext(room)
        if (found.hasLanes && turns.count === 0) lookLater()
        return claimed
      }),
    expect() {
      turns.news()
      lookWithin(Math.min(claimingTimings.delayMs, turns.untilNextMs))
      // The engine does not fetch for each notification.
      if (found.hasLanes) lookLater()
    },
    look: () => lookWithin(0),
    release(lanes) {
      for (const lane of lanes) if (lane) lane.used--
      if (isOwed) engine.wake()
      isOwed = false
      if (isReleasing || !lanes.some(lane => lane)) return
      isReleasing = true
      inTurn(async () => {
        isReleasing = false
        await release()
        // The worker stops otherwise, and removes all its leases.
      }).catch(() => {})
    },
    mayBegin: claim => holds.mayBegin(claim),
    hold: holds.hold,
    held: holds.held,
    changed() {
      // Any login can send the notification.
      changing ??= setTimeout(
        () => {
          changing = undefined
          lastChangeMs = performance.now()
          turns.endRests()
          lookWithin(0)
          lookLater()
        },
        Math.max(0, lastChangeMs + claimingTimings.limitsPauseMs - performance.now())
      )
    },
    returned(claims) {
      const ids = claims.flatMap(({ lane }) => lane?.id ?? [])
      if (ids.length === 0) return
      turns.endRests(ids)
      lookWithin(0)
    },
    recover: () =>
      inTurn(async () => {
        const lanes = [...claims.lanes.values()]
        const ids = lanes.map(({ id }) => id)
        await releaseOtherLanes(execute, schema, engine.id, ids)
        if (lost.length > 0) {
          await execute(forgetClaims(schema, engine.id, lost))
          turns.endRests()
          lookWithin(0)
        }
        lost = []
        if (lanes.length > 0) await execute(releaseLanes(schema, engine.id, lanes))
      }),
    stop() {
      clearTimeout(timer)
      clearTimeout(changing)
    }
  }
}

const NOTHING: LaneClaim = { firsts: [], count: 0 }

/** How many lanes one look finds, and how many one claim tries. */
const MOST_FOUND = 1_000
const MOST_LANES = 50

/** How many jobs a claim takes for each slot. */
const RUN = 50

/** A look is followed by a pause of so many times its own length. */
const LOOK_FACTOR = 10
