import { EventEmitter } from 'node:events'
import type { Logger as EngineLogger, Runner as EngineRunner, TaskList, WorkerEvents } from 'graphile-worker'
import { isTransientFailure } from '../database/failure.ts'
import { loadWithHome } from '../database/home.ts'
import type { LogFields, Logger } from '../logger.ts'
import { CANCEL_CHANNEL, listenForCancels } from '../sql/jobs/cancel.ts'
import type { ClaimedJob } from '../sql/worker/claim.ts'
import type { AnyTask } from '../task.ts'
import type { EngineHelpers } from './execute.ts'
import { keepExitCode } from './exit-code.ts'
import type { ListeningClient } from './listen.ts'
import type { EnginePool } from './pool.ts'

/** What {@linkcode startRunner} takes. */
export interface RunnerOptions {
  readonly pool: EnginePool
  readonly schema: string
  readonly tasks: ReadonlyMap<string, AnyTask>
  /** Runs a job to its end. */
  run(task: AnyTask, payload: unknown, helpers: EngineHelpers): Promise<void>
  readonly concurrency: number
  readonly localQueueSize: number
  readonly localQueueTtlMs: number
  readonly pollIntervalMs: number
  readonly logger: Logger
  /** Called with the jobs of each fetch, and how many it asked for, before the engine decides whether to fetch once more. */
  onFetched(jobs: readonly { id: string; job_queue_id: number | null }[], asked: number): void
  /** Called when somebody has scheduled jobs. */
  onScheduled(): void
  /** Called with the connection on which the engine begins to listen, and when it has lost that. */
  onListening(client: ListeningClient): void
  onListeningLost(error: unknown): void
  /** Called with a notification that a job was cancelled; without one when some may have been missed. */
  onCancelled(notice?: string): void
  /** Called when the engine's schema may have been migrated. */
  onMigrated(): void
}

/** The engine at work. */
export interface Runner {
  /** The name under which it locks jobs and queues. */
  readonly id: string
  /** Whether it is short of jobs, so that a wake makes it fetch. */
  readonly isHungry: boolean
  /** Makes it fetch now instead of at the next poll. */
  wake(): void
  /** Sets how many jobs the next fetch asks for. */
  resizeBatch(size: number): void
  /** Stops fetching, gives back what was prefetched, waits for the running jobs. */
  stop(): Promise<void>
  /** Has it end in the same way, unasked. */
  end(reason: Error): void
  /** Settles when it has ended, for whatever reason; resolves with the reason if it was not asked to. */
  readonly ended: Promise<Error | undefined>
}

/** Hands the work to graphile-worker's `run()`. Only this module knows its events and options. */
export async function startRunner(options: RunnerOptions): Promise<Runner> {
  const { pool, schema, concurrency, logger } = options
  const engine = await loadWithHome(() => import('graphile-worker'))
  const events: WorkerEvents = new EventEmitter()
  let id = ''
  let isHungry = true
  let nudge = (): void => {}
  events.on('pool:create', ({ workerPool }) => {
    id = workerPool.id
    nudge = () => workerPool.nudge(1)
  })
  // The engine fixes the size at its start, but reads it at each fetch; a test shows that it still does.
  let localQueue: { getJobBatchSize: number } | undefined
  events.on('localQueue:init', event => {
    localQueue = event.localQueue as unknown as { getJobBatchSize: number }
  })
  events.on('localQueue:setMode', ({ newMode }) => {
    isHungry = newMode === 'POLLING'
  })
  events.on('pool:listen:notification', ({ message }) => {
    if (message.channel === 'jobs:insert') options.onScheduled()
    if (message.channel === CANCEL_CHANNEL) options.onCancelled(message.payload)
    if (message.channel === 'worker:migrate') {
      // Anybody can send one, and right after this event the engine would end upon it.
      message.payload = ''
      options.onMigrated()
    }
  })
  // What happens before the engine listens, at its start or after a lost connection, is heard by nobody. This event
  // comes just before it asks to listen, and a client takes one statement at a time.
  events.on('pool:listen:success', ({ client }) => {
    client.once('drain', () => {
      client.query(listenForCancels.text).then(
        () => {
          nudge()
          options.onCancelled()
        },
        error => logger.debug(`Cannot listen for cancelled jobs: ${error}`, { error })
      )
    })
  })
  events.on('pool:listen:success', ({ client }) => options.onListening(client as unknown as ListeningClient))
  events.on('pool:listen:error', ({ error }) => options.onListeningLost(error))
  events.on('localQueue:getJobs:complete', ({ jobs }) => {
    const fetched = jobs as unknown as readonly ClaimedJob[]
    // Before it hands them out: it knows tasks by the ids that they had when it started.
    for (const job of fetched) job.task_identifier = job.task_name ?? job.task_identifier
    const isCut = fetched[0]?.is_cut ?? false
    // It takes fewer than it asked for as a sign that there are no more.
    if (isCut) nudge()
    options.onFetched(fetched, isCut ? fetched.length : (localQueue?.getJobBatchSize ?? 0))
  })

  const starting = (): Promise<EngineRunner> =>
    engine.run({
      pgPool: pool,
      schema,
      taskList: toTaskList(options),
      // Otherwise the engine looks for a file named crontab in the current directory.
      parsedCronItems: [],
      noHandleSignals: true,
      pollInterval: options.pollIntervalMs,
      concurrency,
      events,
      logger: toEngineLogger(engine.Logger, logger),
      preset: {
        worker: {
          localQueue: { size: options.localQueueSize, ttl: options.localQueueTtlMs },
          completeJobBatchDelay: 0,
          failJobBatchDelay: 0
        }
      }
    })
  const runner = await keepExitCode(starting)
  let isStopping = false
  let endReason = new Error('The engine ended unasked')
  const stop = (): Promise<void> =>
    Promise.resolve(runner.stop()).catch(error => logger.debug(`The engine stopped with an error: ${error}`))
  const ended = runner.promise.then(
    () => (isStopping ? undefined : endReason),
    (error: unknown) => (isStopping ? undefined : error instanceof Error ? error : new Error(String(error)))
  )
  return {
    id,
    ended,
    get isHungry() {
      return isHungry
    },
    wake: () => nudge(),
    resizeBatch(size) {
      if (localQueue) localQueue.getJobBatchSize = size
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

function toTaskList({ tasks, run }: RunnerOptions): TaskList {
  const list: TaskList = Object.create(null)
  for (const [name, task] of tasks) {
    list[name] = (payload, helpers) => run(task, payload, helpers as unknown as EngineHelpers)
  }
  return list
}

/**
 * The engine's own words are for who looks for a fault, but for its errors. Of these, a failed job and a database that is
 * away are in our log already.
 */
function toEngineLogger(Engine: typeof EngineLogger, logger: Logger): EngineLogger {
  return new Engine(({ workerId }) => (level, message, meta) => {
    const fields = toFields(workerId, meta)
    const isNews = !meta.failure && !isTransientFailure(fields.error)
    if (level === 'error' && isNews) logger.warn(message, fields)
    else logger.debug(message, fields)
  })
}

/** Not all that the engine hands over: that is whole jobs with what they were given, which is no matter for a log. */
function toFields(workerId: string | undefined, meta: EngineMeta): LogFields {
  const error = meta.error ?? meta.fatalError ?? meta.reason
  const mentioned = [meta.job, meta.jobs, meta.cancelledJobs, meta.specs].flat()
  const jobs = mentioned.flatMap(one => one?.job?.id ?? one?.id ?? [])
  return {
    event: 'engine',
    ...(error !== undefined && { error }),
    ...(jobs.length > 0 && { jobs }),
    ...(workerId !== undefined && { workerId })
  }
}

/** What the engine tells with a line, as far as it is passed on. */
interface EngineMeta {
  readonly error?: unknown
  readonly fatalError?: unknown
  readonly reason?: unknown
  readonly failure?: unknown
  readonly job?: Mentioned
  readonly jobs?: readonly Mentioned[]
  readonly cancelledJobs?: readonly Mentioned[]
  readonly specs?: readonly Mentioned[]
}

/** A job, or what is to be done with one. */
interface Mentioned {
  readonly id?: string
  readonly job?: { readonly id: string }
}
