import { repeat } from '../../async/repeat.ts'
import { nextOccurrence } from '../../cron/occurrences.ts'
import { isTransientFailure } from '../../database/failure.ts'
import type { Logger } from '../../logger.ts'
import { pauses, recurringTimings } from '../../rules/timings.ts'
import {
  addVersions,
  declareEntries,
  findUnknown,
  hasDeclarations,
  lockVersions,
  type NewerVersion,
  registerVersions,
  renewVersions,
  type Version
} from '../../sql/recurring/deploy.ts'
import { readNow } from '../../sql/recurring/entries.ts'
import type { Connections, Execute } from '../../sql/statement.ts'
import type { DeclaredJobs } from './code.ts'

/** The options of {@linkcode createDeployment}. */
export interface DeploymentOptions {
  readonly declared: DeclaredJobs
  readonly connections: Connections
  readonly schema: string
  readonly logger: Logger
}

/** Brings the recurring jobs in the database to what the code declares. */
export interface Deployment {
  /** Call when the worker is registered. */
  begin(worker: string): void
  stop(): void
}

/**
 * While old and new versions of the code run side by side, the newest one decides about each task: a worker that finds a
 * newer version leaves the recurring jobs of the task alone. It looks again now and then, and takes over when no worker
 * has had the newer version for a while, as after a deployment was taken back.
 *
 * A task that the program no longer has loses its recurring jobs when no worker knows it any more.
 */
export function createDeployment({ declared, connections, schema, logger }: DeploymentOptions): Deployment {
  const { definitions, source, versions } = declared
  const tasks = versions.map(({ task }) => task)
  const stopping = new AbortController()
  let timer: NodeJS.Timeout | undefined
  let begun = false
  let hasLeft = false
  let unusedSinceMs: number | undefined

  async function declare(worker: string): Promise<void> {
    if (definitions.length === 0 && !(await hasDeclarations(connections.execute, schema))) return
    await registerVersions(connections.execute, schema, worker, versions)
    await apply()
  }

  async function apply(): Promise<void> {
    const isOver = await connections.transact(async execute => {
      await lockVersions(execute, schema)
      const unknown = await findUnknown(execute, schema, source, tasks)
      const gone = unknown.filter(({ isKnown }) => !isKnown).map(({ task }): Version => ({ ...GONE, task }))
      const deciding = [...versions, ...gone]
      const newer = await findNewer(execute, deciding)
      const isOlder = (task: string): boolean => newer.some(version => version.task === task)
      await write(
        execute,
        deciding.map(({ task }) => task).filter(task => !isOlder(task))
      )
      if (newer.length > 0) reportNewer(newer)
      return newer.length === 0 && gone.length === unknown.length
    })
    if (isOver || stopping.signal.aborted) return
    timer = setTimeout(() => void insist(apply), recurringTimings.versionEveryMs)
    timer.unref()
  }

  async function findNewer(execute: Execute, deciding: readonly Version[]): Promise<readonly NewerVersion[]> {
    const newer = await addVersions(execute, schema, deciding)
    const nowMs = performance.now()
    const isUnused = newer.length > 0 && newer.every(({ isInUse }) => !isInUse)
    unusedSinceMs = isUnused ? (unusedSinceMs ?? nowMs) : undefined
    if (unusedSinceMs === undefined || nowMs - unusedSinceMs < recurringTimings.versionGoneMs) return newer
    const tasks = new Set(newer.map(({ task }) => task))
    await renewVersions(
      execute,
      schema,
      deciding.filter(({ task }) => tasks.has(task))
    )
    return []
  }

  async function write(execute: Execute, free: readonly string[]): Promise<void> {
    const nowMs = await readNow({ execute })
    const planned = definitions
      .filter(({ task }) => free.includes(task))
      .map(definition => ({ ...definition, nextMs: nextOccurrence(definition, nowMs) }))
    const { written, removed } = await declareEntries(execute, schema, { source, tasks: free, definitions: planned })
    const said = [...written.map(name => `set ${name}`), ...removed.map(name => `removed ${name}`)]
    const level = said.length > 0 ? 'info' : 'debug'
    logger[level](`Recurring jobs of the code: ${said.join(', ') || 'no change'}`, {
      event: 'recurring.declared',
      written,
      removed
    })
  }

  function reportNewer(newer: readonly NewerVersion[]): void {
    if (hasLeft) return
    hasLeft = true
    const names = newer.map(({ task }) => task)
    logger.info(`Leaving the recurring jobs of ${names.join(', ')} to a newer version of the code`, {
      event: 'recurring.newer',
      tasks: names
    })
  }

  async function insist(work: () => Promise<void>): Promise<void> {
    let lastProblem = ''
    const onFailure = (error: unknown): void => {
      const problem = `Cannot set the recurring jobs of the code, trying again: ${error}`
      const isNews = !isTransientFailure(error) && problem !== lastProblem
      logger[isNews ? 'error' : 'debug'](problem, { event: 'recurring.failed', error })
      lastProblem = problem
    }
    await repeat(work, { signal: stopping.signal, pauses: pauses.engine, onFailure }).catch(() => {})
  }

  return {
    begin(worker) {
      if (begun) return
      begun = true
      void insist(() => declare(worker))
    },
    stop() {
      stopping.abort()
      clearTimeout(timer)
    }
  }
}

/** The version of a task that the code no longer has. No worker has it, so it holds for a limited time. */
const GONE = { fingerprint: 'gone', isEmpty: false }
