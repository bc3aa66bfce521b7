import type { Logger } from '../../src/logger.ts'
import { type LedgerOptions, startWorker, type Worker } from '../../src/worker/mod.ts'
import { loadTasks } from '../../src/worker/tasks/load.ts'
import type { CommandContext } from '../context.ts'
import { openForTasks, readDatabase, waitFor } from '../databases.ts'
import { createLogger, LOG_FORMATS, LOG_LEVELS } from '../log.ts'
import type { Arguments } from '../options.ts'
import { ignoreHangup, Orphaned, watchParent } from '../parent.ts'
import { startFields, startScreen } from '../screen.ts'
import { Interrupted, interruptible } from '../signals.ts'
import { findTaskFiles } from '../task-files.ts'
import { UsageError } from '../usage.ts'
import { readRetention } from './prune.ts'

/** `kretes background`: runs the worker until it is asked to stop, or with `--once` until no job is due. */
export async function work(args: Arguments, context: CommandContext): Promise<number> {
  const { env, envFile, output, stopNow } = context
  const format = args.choice('log-format', LOG_FORMATS) ?? 'pretty'
  const level = args.choice('log-level', LOG_LEVELS) ?? 'info'
  const once = args.flag('once')
  const concurrency = args.number('concurrency', { least: 1, most: MOST_CONCURRENCY, isWhole: true })
  const shutdownTimeout = readShutdownTimeout(args)
  const healthPort = args.number('health-port', { least: 0, most: 65_535, isWhole: true })
  const healthHost = args.text('health-host')
  const tasks = args.text('tasks') ?? 'tasks'
  const ledger = readLedger(args)
  const database = readDatabase(args, env)

  const logger = createLogger({ level, format, style: output.style, write: output.line })
  const stop = AbortSignal.any([context.stop, ...watchStarter(args, logger)])
  const signals = { ...context, stop }
  const { files, problems } = await findTaskFiles(args)
  const isStartable = files.length > 0 && problems.length === 0
  const connection = isStartable ? await openForTasks(database, signals, logger) : database.connection
  // Modules are loaded once: what takes long from here on is the database.
  await interruptible(loadTasks(tasks), signals, false)
  const starting = startWorker({
    connection,
    concurrency,
    tasks,
    once,
    shutdownTimeout,
    healthPort,
    healthHost,
    ledger,
    logger
  })
  const worker = await waitFor(starting, database, signals, logger)
  const announce = (): void => {
    if (stop.aborted) return
    if (format === 'json') logger.info(once ? 'Running what is due' : 'Ready for jobs', startFields(worker, database))
    else if (level === 'info' || level === 'debug')
      output.line(startScreen(worker, { isOnce: once, database, envFile }, output))
  }
  // One that is stopped at once is never ready.
  const announced = Promise.race([worker.ready, worker.finished]).then(announce, () => {})

  let unfinished = 0
  const ended = Promise.withResolvers<void>()
  const finish = async (timeout?: number): Promise<void> => {
    unfinished = (await worker.stop({ timeout })).unfinished
  }
  whenAborted(stop, () => {
    announceStop(worker, stop.reason, logger)
    finish().then(ended.resolve, ended.reject)
  })
  whenAborted(stopNow, () => finish(0).catch(ended.reject))
  await Promise.race([ended.promise, worker.finished])
  if (!stop.aborted) await announced
  // However it began to stop, this tells how it ended.
  await finish()
  if (stop.aborted || unfinished > 0) reportStop(unfinished, logger)
  // Jobs that go back at the end of their time are part of an orderly stop.
  return unfinished === 0 || (stop.aborted && !stopNow.aborted) ? 0 : 1
}

/** The signals that abort when what started this worker has ended: none if the worker is to outlive it. */
function watchStarter(args: Arguments, logger: Logger): AbortSignal[] {
  const goOn = (): void => logger.debug('The process that started this worker has ended; it goes on')
  if (!args.flag('detached')) return [watchParent(goOn)]
  ignoreHangup()
  return []
}

function readLedger(args: Arguments): false | LedgerOptions {
  const keepSuccesses = readRetention(args, 'keep-successes')
  const keepFailures = readRetention(args, 'keep-failures')
  if (!args.flag('no-ledger')) return { keepSuccesses, keepFailures }
  if (keepSuccesses === undefined && keepFailures === undefined) return false
  throw new UsageError(
    'Cannot run without a ledger and keep runs in it: give either --no-ledger, or --keep-successes and --keep-failures'
  )
}

/** A plain number counts seconds, as in the same option of other programs. */
function readShutdownTimeout(args: Arguments): number | undefined {
  const isPlain = /^\d+(?:\.\d+)?$/.test(args.text('shutdown-timeout') ?? '')
  return isPlain
    ? (args.number('shutdown-timeout', { least: 0, most: MOST_SECONDS }) ?? 0) * 1_000
    : args.duration('shutdown-timeout')
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

function whenAborted(signal: AbortSignal, callback: () => void): void {
  if (signal.aborted) callback()
  else signal.addEventListener('abort', callback, { once: true })
}

/** More than any database has connections for. */
const MOST_CONCURRENCY = 10_000

/** As good as no limit. */
const MOST_SECONDS = Math.floor(Number.MAX_SAFE_INTEGER / 1_000)
