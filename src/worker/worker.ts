import process from 'node:process'
import { fileURLToPath } from 'node:url'
import { refuseUnknown } from '../check/options.ts'
import { explainFailure } from '../database/failure.ts'
import { migrate } from '../database/migrate.ts'
import { openDatabase } from '../database/open.ts'
import { type Duration, toTimeLimit } from '../duration.ts'
import { BackgroundError } from '../errors.ts'
import type { AnyTask } from '../task.ts'
import { chooseTasks } from './choice.ts'
import { type Health, type HealthServer, serveHealth } from './health.ts'
import { type ResolvedOptions, resolveOptions, type WorkerOptions } from './options.ts'
import { createOutage } from './outage.ts'
import { openOwnConnections } from './own-connections.ts'
import { readDeclaredJobs } from './recurring/code.ts'
import { type Supervisor, supervise } from './supervise.ts'
import { checkTasks, loadTasks } from './tasks/load.ts'

/** A running worker. */
export interface Worker extends AsyncDisposable {
  /** The names of the tasks that the worker runs. */
  readonly tasks: readonly string[]
  /** How many jobs the worker runs at the same time. */
  readonly concurrency: number
  /** How many jobs are running now. */
  readonly running: number
  /** The database: its name without secrets, for logs, and whether it is the embedded one. */
  readonly database: { readonly label: string; readonly isEmbedded: boolean }
  /** Resolves once the worker can take jobs: it is connected and registered in the database. */
  readonly ready: Promise<void>
  /** Resolves when the worker has stopped, whether or not you asked for it; rejects if an error stopped it. */
  readonly finished: Promise<void>
  /**
   * Stops the worker. The worker fetches no more jobs, gives back fetched jobs that have not started, and lets running
   * jobs finish. After `timeout` it aborts their signals, and then releases the jobs that still do not end. Other
   * workers run them as the same attempt. A second call can only shorten the time.
   *
   * @returns how many jobs did not finish
   * @throws {RangeError} if the timeout is negative or infinite; the worker keeps running
   * @example
   * ```ts
   * import { startWorker } from 'kretes/worker'
   *
   * const worker = await startWorker({ tasks: 'tasks' })
   * const { unfinished } = await worker.stop({ timeout: '5s' })
   * ```
   */
  stop(options?: {
    /**
     * How long running jobs may take to finish.
     *
     * @default the worker's `shutdownTimeout`
     */
    timeout?: Duration
  }): Promise<{ readonly unfinished: number }>
}

/**
 * Starts a worker. The worker loads the tasks, migrates the database's schema and runs jobs until you stop it.
 *
 * @throws {BackgroundError} `TASKS` with every problem of the task files, or the code of a problem with the database
 * @throws {TypeError} if an option is unknown
 * @throws {RangeError} if a number or a duration among the options is out of range
 * @example
 * ```ts
 * import { startWorker } from 'kretes/worker'
 *
 * const worker = await startWorker({
 *   tasks: { SendEmail: async input => console.log(`Hello, ${input.name}`) },
 *   concurrency: 20,
 *   logger: console
 * })
 * for (const signal of ['SIGTERM', 'SIGINT']) process.once(signal, () => worker.stop())
 * await worker.finished
 * ```
 */
export async function startWorker(options: WorkerOptions = {}): Promise<Worker> {
  const resolved = resolveOptions(options)
  const all = await gatherTasks(resolved.tasks)
  const tasks = chooseTasks(all, options)
  const { logger, connection } = resolved
  const declared = await readDeclaredJobs(all, placeOf(resolved.tasks), resolved.schema)
  const database = await openDatabase({ connection, onProgress: message => logger.info(message) })
  const ownConnections = openOwnConnections(database)
  const outage = createOutage(logger, database.label)
  let health: HealthServer | undefined
  async function leave(): Promise<void> {
    await health?.close()
    await ownConnections.end()
    await database.release()
  }
  try {
    await migrate(database, resolved.schema)
    const supervisor = await supervise({
      options: resolved,
      tasks,
      declared,
      url: database.url,
      ownConnections,
      outage
    })
    const look = (): Health => examine(supervisor, resolved, outage.isAway)
    health = await openHealth(resolved, look).catch(async error => {
      await supervisor.stop(0)
      throw error
    })
    const finished = supervisor.finished.finally(leave)
    // A caller that never reads `finished` must not get an unhandled rejection. `stop` rejects with the same error.
    finished.catch(() => {})
    const stop: Worker['stop'] = async (options = {}) => {
      refuseUnknown(options, { timeout: true }, 'stop the worker')
      const { timeout = resolved.shutdownTimeoutMs } = options
      const unfinished = await supervisor.stop(toTimeLimit(timeout, 'stop the worker', 'timeout'))
      await finished
      return { unfinished }
    }
    return {
      tasks: [...tasks.keys()],
      concurrency: resolved.concurrency,
      get running() {
        return supervisor.running
      },
      database: { label: database.label, isEmbedded: database.embedded !== undefined },
      ready: supervisor.ready,
      finished,
      stop,
      [Symbol.asyncDispose]: async () => void (await stop())
    }
  } catch (error) {
    await leave()
    throw explainFailure(error, 'start a worker', database.label)
  }
}

async function openHealth(options: ResolvedOptions, look: () => Health): Promise<HealthServer | undefined> {
  const { healthPort: port, healthHost: host, logger } = options
  if (port === undefined) return undefined
  const server = await serveHealth({ port, host, look })
  logger.info(`Health is served on port ${server.port}: /live and /ready`, {
    event: 'worker.health',
    port: server.port
  })
  return server
}

function examine({ status, running, isStopping }: Supervisor, options: ResolvedOptions, isAway: boolean): Health {
  const { id, isListening, isBeating, lastBeatAt } = status
  const isReady = isListening && isBeating && !isAway
  return {
    status: isStopping ? 'stopping' : isReady ? 'ready' : 'waiting',
    worker: id,
    uptimeSeconds: Math.round(process.uptime()),
    running,
    concurrency: options.concurrency,
    isDatabaseAway: isAway,
    isListening,
    isBeating,
    lastBeatAt
  }
}

async function gatherTasks(given: ResolvedOptions['tasks']): Promise<ReadonlyMap<string, AnyTask>> {
  const place = placeOf(given)
  const tasks = place === undefined ? checkTasks(given as Record<string, AnyTask>) : (await loadTasks(place)).tasks
  if (tasks.size > 0) return tasks
  throw new BackgroundError(
    'TASKS',
    `Cannot start a worker: ${place === undefined ? 'there are' : `${given} holds`} no tasks`
  )
}

/** The directory of the tasks, or `undefined` if they were passed as an object. */
function placeOf(given: ResolvedOptions['tasks']): string | undefined {
  if (given instanceof URL) return fileURLToPath(given)
  return typeof given === 'string' ? given : undefined
}
