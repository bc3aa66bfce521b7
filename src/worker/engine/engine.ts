/**
 * The loop of a worker. The engine, graphile-worker, asks its pool for jobs by SQL. The pool of `pool.ts` recognizes
 * each statement by its name and lets the {@linkcode JobStore} of kretes answer it:
 *
 * 1. The engine sends `get_job`. `JobStore.claim` locks jobs with a statement of kretes and returns their rows.
 * 2. The engine calls its task list with each job. The list calls `run`, which runs the task and keeps the ending of
 *    the run in the claim. To the engine, every run succeeds.
 * 3. The engine sends `complete_job` with the ids of the jobs. `JobStore.settle` writes the endings of their claims: it
 *    removes the jobs, or lets them wait for another run, or marks them as failed.
 * 4. The engine sends `return_job` for jobs that have waited too long to start, and when the worker stops.
 *    `JobStore.giveBack` unlocks these jobs for other workers.
 *
 * @module
 */
import { EventEmitter } from 'node:events'
import type { Runner, TaskList, WorkerEvents } from 'graphile-worker'
import { loadWithHome } from '../../database/home-directory.ts'
import type { Logger } from '../../logger.ts'
import { LIMITS_CHANNEL } from '../../sql/flow/rates.ts'
import { CANCEL_CHANNEL } from '../../sql/jobs/cancel.ts'
import { RECURRING_CHANNEL } from '../../sql/recurring/row.ts'
import type { Outage } from '../outage.ts'
import type { Connections } from './connections.ts'
import { keepExitCode } from './exit-code.ts'
import type { ListeningClient } from './listening.ts'
import { createEngineLogger } from './logger.ts'
import { createEnginePool } from './pool.ts'
import type { JobStore } from './store.ts'

/** The options of {@linkcode createEngine}. */
export interface EngineOptions {
  readonly schema: string
  /** The names of the tasks that the worker runs. */
  readonly tasks: readonly string[]
  readonly concurrency: number
  /** How many jobs a fetch is expected to return. */
  readonly batchSize: number
  /** How long claimed jobs may wait to start before the engine gives them back, in milliseconds. */
  readonly giveBackAfterMs: number
  readonly pollIntervalMs: number
  readonly logger: Logger
}

/** The parts that the engine works with. */
export interface EngineSurroundings {
  readonly connections: Connections
  readonly store: JobStore
  readonly outage: Outage
  /** Aborts everything that waits for the database. */
  readonly signal: AbortSignal
  /** Runs a job to its end. */
  run(job: string): Promise<void>
  /** Called when jobs were scheduled. */
  onScheduled(): void
  /** Called with the connection on which the engine starts to listen. */
  onListening(client: ListeningClient): void
  /** Called when the engine has lost that connection. */
  onListeningLost(error: unknown): void
  /** Called with a notification that a job was cancelled; without a notice when notifications may have been missed. */
  onCancelled(notice?: string): void
  /** Called with a notification that a recurring job has an earlier occurrence. */
  onRecurring(): void
  /** Called with a notification that a limit was set. */
  onLimits(): void
  /** Called when the engine's schema may have been migrated. */
  onMigrated(): void
}

/** The engine. It does nothing until `start` is called. */
export interface Engine {
  /** The name under which it locks jobs and queues; empty until `start`. */
  readonly id: string
  /** Whether it can run more jobs than it holds, so that `wake` makes it fetch. */
  readonly isHungry: boolean
  start(surroundings: EngineSurroundings): Promise<void>
  /** Makes the engine fetch now instead of at the next poll. */
  wake(): void
  /** Stops fetching, gives back prefetched jobs and waits for the running jobs. */
  stop(): Promise<void>
  /** Stops the engine in the same way, because of an error: `ended` then resolves with it. */
  end(reason: Error): void
  /** Resolves when the engine has ended; with the reason unless `stop` was called. */
  readonly ended: Promise<Error | undefined>
}

/** Creates an engine on graphile-worker's `run()`. Only this folder knows its events, options and statements. */
export function createEngine(options: EngineOptions): Engine {
  const { logger } = options
  const state: EngineState = { id: '', isHungry: true, wake() {} }
  const ended = Promise.withResolvers<Error | undefined>()
  let runner: Runner | undefined
  let isStopping = false
  let endReason = new Error('The engine gave no reason')

  async function stop(): Promise<void> {
    await Promise.resolve(runner?.stop()).catch(error => logger.debug(`The engine stopped with an error: ${error}`))
  }

  return {
    get id() {
      return state.id
    },
    get isHungry() {
      return state.isHungry
    },
    wake: () => state.wake(),
    ended: ended.promise,
    async start(surroundings) {
      const graphile = await loadWithHome(() => import('graphile-worker'))
      const starting = (): Promise<Runner> =>
        graphile.run({
          pgPool: createEnginePool(surroundings),
          schema: options.schema,
          taskList: toTaskList(options.tasks, surroundings.run),
          // Otherwise the engine looks for a file named crontab in the current directory.
          parsedCronItems: [],
          noHandleSignals: true,
          pollInterval: options.pollIntervalMs,
          concurrency: options.concurrency,
          events: follow(state, surroundings),
          logger: createEngineLogger(graphile.Logger, logger),
          preset: {
            worker: {
              localQueue: { size: options.batchSize, ttl: options.giveBackAfterMs },
              completeJobBatchDelay: 0,
              failJobBatchDelay: 0
            }
          }
        })
      runner = await keepExitCode(starting)
      runner.promise.then(
        () => ended.resolve(isStopping ? undefined : endReason),
        error => ended.resolve(isStopping ? undefined : error instanceof Error ? error : new Error(String(error)))
      )
    },
    async stop() {
      isStopping = true
      await stop()
    },
    end(reason) {
      endReason = reason
      void stop()
    }
  }
}

/** The state that the engine reports through its events. */
interface EngineState {
  id: string
  isHungry: boolean
  wake(): void
}

function follow(state: EngineState, surroundings: EngineSurroundings): WorkerEvents {
  const { onScheduled, onListening, onListeningLost, onCancelled, onRecurring, onLimits, onMigrated } = surroundings
  const events: WorkerEvents = new EventEmitter()
  events.on('pool:create', ({ workerPool }) => {
    state.id = workerPool.id
    state.wake = () => workerPool.nudge(1)
  })
  events.on('localQueue:setMode', ({ newMode }) => {
    state.isHungry = newMode === 'POLLING'
  })
  // The engine identifies tasks by the ids that they had when it started, which may have changed. It emits this event
  // before it hands out jobs.
  events.on('localQueue:getJobs:complete', ({ jobs }) => {
    for (const job of jobs as unknown as { task_identifier: string; task_name: string }[]) {
      job.task_identifier = job.task_name
    }
  })
  events.on('pool:listen:notification', ({ message }) => {
    if (message.channel === 'jobs:insert') onScheduled()
    if (message.channel === CANCEL_CHANNEL) onCancelled(message.payload)
    if (message.channel === RECURRING_CHANNEL) onRecurring()
    if (message.channel === LIMITS_CHANNEL) onLimits()
    if (message.channel === 'worker:migrate') {
      // Any login can send this notification, and after this event the engine would end because of it.
      message.payload = ''
      onMigrated()
    }
  })
  // This event comes just before the engine asks to listen.
  events.on('pool:listen:success', ({ client }) => onListening(client))
  events.on('pool:listen:error', ({ error }) => onListeningLost(error))
  return events
}

function toTaskList(tasks: readonly string[], run: EngineSurroundings['run']): TaskList {
  const list: TaskList = Object.create(null)
  for (const name of tasks) list[name] = (_payload, { job }) => run(job.id)
  return list
}
