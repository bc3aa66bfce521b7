import type { ClaimedJob } from '../../sql/worker/claim.ts'
import { type Claim, type Counted, type Lane, toClaim } from '../execution/claim.ts'

/** The claims of a worker: each job that it has locked, until the database has confirmed how the job ended. */
export interface Claims {
  readonly size: number
  all(): IterableIterator<Claim>
  /** The newest claim of a job. */
  of(job: string): Claim | undefined
  /**
   * Adds the jobs of a fetch. Returns those that the engine is to run: of several jobs of a queue only the first, and of a
   * lane as many as it has got slots. Their claims have the others as followers.
   *
   * @param times of a claim of lanes
   */
  add(rows: readonly (ClaimedJob & LaneFacts)[], times?: LaneTimes): readonly ClaimedJob[]
  /** Removes claims. Call when the database has confirmed how they ended. */
  confirm(claims: readonly Claim[]): void
  /** The lanes whose jobs the worker holds, by their ids. */
  readonly lanes: Map<number, Lane>
}

/** Times of a claim of lanes, by `performance.now()`. */
export interface LaneTimes {
  /** When it was sent. */
  readonly claimedMs: number
  /** The latest time at which its jobs of limits with a rate may begin. */
  readonly beginByMs: number
}

/** What a claim says about a job of a lane. */
export interface LaneFacts {
  /** How many slots the worker has got for the jobs of this lane. */
  readonly slots?: number
  /** If its lane has a rate, the number of the row that counts it as begun. */
  readonly number?: string | null
  readonly lane_key?: string
}

/**
 * Tracks claims, not jobs. When the answer to a statement is lost, the worker repeats the statement; meanwhile it may
 * have claimed the same job again.
 */
export function createClaims(): Claims {
  const all = new Set<Claim>()
  const newest = new Map<string, Claim>()
  const lanes = new Map<number, Lane>()

  function laneOf(id: number, task: string, key: string): Lane {
    const lane = lanes.get(id) ?? { id, task, key, slots: 0, used: 0, waiting: [] }
    lanes.set(id, lane)
    return lane
  }

  return {
    lanes,
    get size() {
      return all.size
    },
    all: () => all.values(),
    of: job => newest.get(job),
    add(rows, { claimedMs, beginByMs } = NO_TIMES) {
      const fetch = {}
      const sequences = new Map<
        number,
        {
          readonly followers: Claim[]
          readonly lane: Lane | undefined
          readonly counted: Counted | undefined
          firsts: number
        }
      >()
      return rows.filter(row => {
        const claim = toClaim(row)
        all.add(claim)
        newest.set(row.id, claim)
        if (claim.queueId === null) return true
        let sequence = sequences.get(claim.queueId)
        if (!sequence) {
          // The jobs of a queue may be of several tasks, and do not have the limits of these.
          const task = row.queue_name === null ? row.task_name : ''
          const lane = row.slots === undefined ? undefined : laneOf(claim.queueId, task, row.lane_key ?? '')
          if (lane) lane.slots += row.slots!
          const counted = row.number ? { number: Number(row.number), open: 0, beginByMs, startsMs: [] } : undefined
          sequence = { followers: lane?.waiting ?? [], lane, counted, firsts: row.slots ?? 1 }
          sequences.set(claim.queueId, sequence)
        }
        claim.fetch = fetch
        claim.followers = sequence.followers
        claim.lane = sequence.lane
        claim.counted = sequence.counted
        claim.claimedMs = claimedMs
        if (claim.counted) claim.counted.open++
        if (sequence.firsts-- > 0) {
          if (claim.lane) claim.lane.used++
          return true
        }
        sequence.followers.push(claim)
        return false
      })
    },
    confirm(claims) {
      for (const claim of claims) {
        all.delete(claim)
        if (newest.get(claim.job.id) === claim) newest.delete(claim.job.id)
      }
    }
  }
}

const NO_TIMES: LaneTimes = { claimedMs: Number.NEGATIVE_INFINITY, beginByMs: Number.POSITIVE_INFINITY }

/** Takes the jobs that were fetched together with a claim and have not begun. */
export function takeFollowers({ followers, fetch }: Claim): readonly Claim[] {
  if (followers.length === 0) return followers
  const taken = followers.filter(follower => follower.fetch === fetch)
  followers.splice(0, followers.length, ...followers.filter(follower => follower.fetch !== fetch))
  return taken
}
