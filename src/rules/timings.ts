import type { Pauses } from '../async/repeat.ts'

// The periods and time limits of kretes, in milliseconds unless a name says otherwise. Code reads each one when it needs
// it, so that tests can shorten them. Nothing else changes them. A group that a bundle does not use is left out of it.

export const connectionTimings = {
  /**
   * Hangs and connection attempts are timed in ticks, so that time in which a task blocks the event loop does not
   * count: answers may have arrived that were not read yet.
   */
  tickMs: 1_000,
  /** A little more than the driver's own time limit, which does not run while the driver retries. */
  connectTicks: 12,
  /** How long the engine's connection may take for its first statements. */
  introduceMs: 10_000,
  /** How long a statement may be without an answer before another connection looks for it on the server. */
  hangTicks: 10,
  /** A script that does not close its connections ends after this time. */
  idleMs: 10_000,
  /** How long the worker waits for its statements when it closes its connections. */
  closeMs: 1_000
}

/** The pauses between two tries, which grow. */
export const pauses = {
  database: { leastMs: 100, mostMs: 2_000 },
  engine: { leastMs: 100, mostMs: 5_000 }
} satisfies Record<string, Pauses>

export const workerTimings = {
  /** How often the listening connection is asked for an answer. */
  listenEveryMs: 10_000,
  /** How often a worker looks for cancelled jobs without a notification. */
  cancelEveryMs: 2_000,
  /** When many jobs are cancelled one by one, the worker looks once per pause, not once per job. */
  cancelPauseMs: 20,
  /** Many notifications in a short time cause one look at the version of the schema per pause. */
  schemaPauseMs: 1_000,
  /** How long a task may take to react to its signal before its run is given up. */
  graceMs: 1_000,
  /** How long a cancelled task may take to react before the worker logs a warning. */
  cancelGraceMs: 3_000,
  /** How long `onFailure` may take. The job and its queue stay locked meanwhile. */
  onFailureMs: 60_000,
  /** How long a snoozed job waits if its time cannot be stored. */
  snoozeFallbackMs: 60_000,
  /** How long the import of a task file may take. */
  importTicks: 30,
  /** How long the release of the jobs may take when the worker stops. */
  releaseMs: 5_000,
  /** How long the release waits for a lock on a job. */
  releaseLockMs: 1_000
}

export const peerTimings = {
  beatEveryMs: 2_000,
  /** The interval while the worker has no lock. */
  lockEveryMs: 200,
  /** How long a worker may be silent before other workers check whether its lock is free: three missed beats. */
  staleAfterMs: 6_000,
  /**
   * The same for a worker that had its lock at its last beat. This is longer than the pause between two beats, and leaves some
   * time to take the lock again. It is short: until then, nobody can use the slots of that worker.
   */
  lostAfterMs: 2_500,
  /** How long workers may take to come back after an outage before a worker may declare another one dead. */
  returnMs: 15_000,
  /** How long a stopping worker waits for its heartbeat. */
  stopMs: 1_000,
  /** When to look a second time for jobs of a fetch whose answer was lost: the server may have been busy with it. */
  lostFetchAgainMs: 30_000
}

export const claimingTimings = {
  /** The longest delay of a fetch after expensive empty fetches. */
  longestDelayMs: 500,
  /** The delay after many cheap empty fetches. It grows with their number. */
  delayMs: 10,
  /** The longest pause after many fetches or looks that were cheap and in vain. */
  longestRestMs: 100,
  /** How long after their claim jobs of limits with a rate may begin. Those that have not begun by then are given back. */
  beginWithinMs: 500,
  /** The shortest time between two looks at limits that may have been changed. */
  limitsPauseMs: 1_000,
  /** How often a worker writes the endings of jobs while it runs further jobs of their queues. */
  partMs: 10,
  /** The shortest time between two notifications that a worker passes on to others. */
  forwardEveryMs: 100,
  /** Two looks for jobs that become due overlap by this time, so that no job falls between them. */
  dueMarginMs: 500,
  /** Many notifications in a short time cause one look for jobs that become due per pause. */
  duePauseMs: 20,
  /** How often a worker that runs until it is idle looks whether it is. */
  idleEveryMs: 50,
  /** The shortest time between two looks for jobs whose task no worker knows. */
  unknownEveryMs: 60_000,
  /** Workers that start at the same time as this one can register meanwhile. */
  unknownDelayMs: 3_000
}

export const recurringTimings = {
  /** All workers know the next occurrence. They come at random moments of this time, so that most find it scheduled. */
  spreadMs: 10,
  /** The shortest time between two looks for occurrences. Those of that time are scheduled together. */
  leastPauseMs: 20,
  /** The longest time between two looks of a worker while other workers schedule the occurrences. */
  mostPauseMs: 200,
  /** How long a worker leaves a backlog to the others that schedule it. */
  yield: { leastMs: 30, mostMs: 1_000 } satisfies Pauses,
  /** How long a worker waits after a failure. */
  retryMs: 1_000,
  /** How long a worker leaves a recurring job alone that it cannot schedule. */
  unfitMs: 60_000,
  /** How often a worker of an old version looks whether the workers of newer versions are gone. */
  versionEveryMs: 30_000,
  /** For how long they must be gone before the old version takes over: longer than a restart takes. */
  versionGoneMs: 120_000
}

export const progressTimings = {
  /** Other processes see a change within a second. */
  everyMs: 500,
  /** Shorter runs are not reported: they end before anyone can see them. */
  leastRunMs: 200
}

export const upkeepTimings = {
  /** The first round comes a little later than the start of the worker. */
  firstAfterMs: 1_000,
  everyMs: 30_000,
  /** How long a worker that ends early waits for its only round. */
  onceMs: 5_000,
  /** The counters of a minute are folded only after that minute. */
  foldedAfterMs: 240_000,
  /** Half of a round's interval. The next round continues unfinished work. */
  foldingMs: 15_000,
  droppingMs: 60_000,
  /** How long the server may take to cancel a statement before its connection is closed. */
  cancelMs: 1_000
}

export const resultTimings = {
  /** The pauses between two looks at a job, without a notification. The first suffices for statements under way. */
  pauses: { leastMs: 50, mostMs: 5_000 } satisfies Pauses,
  /** How long the last look may take when the time of a call is up. */
  lastLookMs: 1_000,
  /** Jobs that are due so soon are looked at together with jobs that are due now. */
  togetherMs: 10,
  /** A notification for a job that no call waits for does no harm. */
  removalDelayMs: 200,
  /** A program that waits for one job after the other uses one connection for all. */
  lingerMs: 2_000,
  /** After many false notifications in a row, they are answered at most once in this time. */
  restMs: 20,
  leaveMs: 1_000,
  /** How often a listener extends its registration. */
  renewEveryMs: 30_000
}

export const schedulingTimings = {
  /** How long a task's registered options are taken for current. They change with a deployment. */
  registryMs: 60_000,
  /** The same for a task that no worker knows. A worker that knows it may be starting. */
  unknownRegistryMs: 10_000
}
