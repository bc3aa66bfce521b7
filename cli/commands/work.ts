import type { Logger } from '../../src/logger.ts'
import { Queue } from '../../src/queue.ts'
import type { LedgerOptions, Worker } from '../../src/worker/mod.ts'
import { defineCommand, type Input } from '../command.ts'
import { openForTasks, readDatabase, waitFor } from '../database.ts'
import { reading } from '../input/job-options.ts'
import {
  choice,
  databaseUrl,
  flag,
  option,
  options,
  retention,
  tasks,
  text,
  toDuration,
  toNumber,
  wholeNumber
} from '../input/options.ts'
import { findTaskFiles } from '../input/task-files.ts'
import { didYouMean, nearMatches, UsageError } from '../input/usage-error.ts'
import { createLogger, LOG_FORMATS } from '../output/logger.ts'
import { startFields, startScreen } from '../output/start-screen.ts'
import { ignoreHangup, Orphaned, watchParent } from '../parent-process.ts'
import { Interrupted, interruptible, onAbort } from '../signals.ts'

/** No database has more connections. */
const CONCURRENCY = [1, 10_000] as const

const workOptions = {
  concurrency: wholeNumber('--concurrency <number>', 'How many jobs run at the same time (default: 10)', CONCURRENCY),
  tasks,
  only: options('--only <task...>', 'Run only this task; may be repeated', value => value),
  except: options('--except <task...>', 'Do not run this task; may be repeated', value => value),
  queues: options('--queue <name...>', 'Run only jobs of this queue; may be repeated', reading(Queue.for)),
  databaseUrl,
  once: flag('--once', 'Run the jobs that are due, then exit'),
  detached: flag('--detached', 'Keep running when the parent process ends: a shell, npx, a terminal'),
  shutdownTimeout: option(
    '--shutdown-timeout <duration>',
    'How long running jobs may take to finish when the worker stops (default: 25s)',
    toShutdownTimeout
  ),
  healthPort: wholeNumber(
    '--health-port <port>',
    'Serve /live and /ready over HTTP on this port (default: none)',
    [0, 65_535]
  ),
  healthHost: text('--health-host <address>', 'Serve them on this address only (default: all)'),
  ...retention,
  noLedger: flag('--no-ledger', 'Record no runs'),
  logFormat: choice('--log-format <format>', `${LOG_FORMATS.join(' or ')} (default: pretty)`, LOG_FORMATS)
}

type Options = Input<typeof workOptions>['options']

/** `kretes background`: runs the worker until it is told to stop, or with `--once` until no job is due. */
export const work = defineCommand({
  usage: '',
  summary: 'Run the worker',
  options: workOptions,
  examples: program => [
    `  $ ${program} --concurrency 20`,
    `  $ ${program} --once --log-format json`,
    'In containers, systemd and PM2, where npx and sh would keep SIGTERM from the worker:',
    '  $ node node_modules/kretes/dist/cli.js bg'
  ],

  async run({ options: given }, context) {
    const { env, envFile, output, stopNow, logLevel: level } = context
    const { concurrency, healthHost, healthPort, logFormat: format = 'pretty', once, shutdownTimeout } = given
    const { only, except, queues } = given
    const ledger = toLedger(given)
    const database = readDatabase(given, env)

    const logger = createLogger({ level, format, style: output.style, write: output.line })
    const stop = AbortSignal.any([context.stop, ...watchStarter(given, logger)])
    const signals = { ...context, stop }
    const { files, problems } = await findTaskFiles(given.tasks)
    const isStartable = files.length > 0 && problems.length === 0
    const connection = isStartable ? await openForTasks(database, signals, logger) : database.connection
    const { loadTasks } = await import('../../src/worker/tasks/load.ts')
    const { startWorker } = await import('../../src/worker/mod.ts')
    const tasks = given.tasks ?? 'tasks'
    // The worker does not load the modules again, so from here on only the database can take long.
    const { tasks: loaded } = await interruptible(loadTasks(tasks), signals, false)
    checkChoice(given, [...loaded.keys()])
    const starting = startWorker({
      connection,
      concurrency,
      tasks,
      only,
      except,
      queues,
      once,
      shutdownTimeout,
      healthPort,
      healthHost,
      ledger,
      logger
    })
    const worker = await waitFor(starting, database, signals, logger)
    const shown = { isOnce: once, database, envFile, queues: queues?.map(({ name }) => name) }
    const announce = (): void => {
      if (stop.aborted) return
      if (format === 'json') logger.info(once ? 'Running what is due' : 'Ready for jobs', startFields(worker, shown))
      else if (level === 'info' || level === 'debug') output.line(startScreen(worker, shown, output))
    }
    // A worker that is stopped at once is never ready.
    const announced = Promise.race([worker.ready, worker.finished]).then(announce, () => {})

    let unfinished = 0
    const ended = Promise.withResolvers<void>()
    const finish = async (timeout?: number): Promise<void> => {
      unfinished = (await worker.stop({ timeout })).unfinished
    }
    onAbort(stop, () => {
      announceStop(worker, stop.reason, logger)
      finish().then(ended.resolve, ended.reject)
    })
    onAbort(stopNow, () => finish(0).catch(ended.reject))
    await Promise.race([ended.promise, worker.finished])
    if (!stop.aborted) await announced
    // For each way of stopping, this returns how the worker has ended.
    await finish()
    if (stop.aborted || unfinished > 0) reportStop(unfinished, logger)
    // A stop is orderly, too, when it puts back jobs at the end of the shutdown timeout.
    return unfinished === 0 || (stop.aborted && !stopNow.aborted) ? 0 : 1
  }
})

/** Refuses tasks that do not exist: with a misspelt name, the worker would run too few tasks, or too many. */
function checkChoice({ only, except }: Options, known: readonly string[]): void {
  if (only && except) throw new UsageError('Cannot run the worker: give either --only or --except')
  const [option, given = []] = only ? ['--only', only] : ['--except', except]
  const unknown = given.find(name => !known.includes(name))
  if (unknown !== undefined) {
    const near = didYouMean(nearMatches(unknown, known)) || `, only ${known.join(', ')}`
    throw new UsageError(`Cannot read ${option}: there is no task ${JSON.stringify(unknown)}${near}`)
  }
  if (except && known.every(name => except.includes(name))) {
    throw new UsageError('Cannot read --except: it leaves out all tasks')
  }
}

/** Signals that abort when the parent process has ended; none with `--detached`. */
function watchStarter({ detached }: Options, logger: Logger): AbortSignal[] {
  const proceed = (): void => logger.debug('The process that started this worker has ended; the worker continues')
  if (!detached) return [watchParent(proceed)]
  ignoreHangup()
  return []
}

function toLedger({ keepSuccesses, keepFailures, noLedger }: Options): false | LedgerOptions {
  if (!noLedger) return { keepSuccesses, keepFailures }
  if (keepSuccesses === undefined && keepFailures === undefined) return false
  throw new UsageError(
    'Cannot run without a ledger and keep runs in it: give either --no-ledger, or --keep-successes and --keep-failures'
  )
}

/** A plain number means seconds, as in the same option of other programs. */
function toShutdownTimeout(value: string, spelling: string): number {
  const isPlain = /^\d+(?:\.\d+)?$/.test(value)
  return isPlain ? toNumber(value, spelling, [0, MOST_SECONDS], false) * 1_000 : toDuration(value, spelling)
}

function announceStop({ running }: Worker, reason: unknown, logger: Logger): void {
  if (reason instanceof Orphaned) logger.warn(reason.message, { event: 'worker.orphaned' })
  if (!(reason instanceof Interrupted)) logger.error('An error escaped that no task caught', { error: reason })
  if (running === 0) logger.info('Stopping')
  else
    logger.info(
      `Stopping when ${running === 1 ? 'the running job has' : `${running} running jobs have`} ended; once more to stop at once`
    )
}

function reportStop(unfinished: number, logger: Logger): void {
  const fields = { event: 'worker.stopped', unfinished }
  if (unfinished === 0) {
    logger.info('Stopped', fields)
    return
  }
  const jobs = unfinished === 1 ? '1 job has' : `${unfinished} jobs have`
  logger.warn(`Stopped; ${jobs} been put back for another worker`, fields)
}

/** As good as no limit. */
const MOST_SECONDS = Math.floor(Number.MAX_SAFE_INTEGER / 1_000)
