import { createBackground } from '../src/background.ts'
import type { BackgroundClient } from '../src/client.ts'
import { chooseDatabase, type DatabaseChoice, describeUrl } from '../src/database/config.ts'
import { findProject, openEmbedded } from '../src/database/embedded.ts'
import { BackgroundError } from '../src/errors.ts'
import type { Logger } from '../src/logger.ts'
import type { CommandContext } from './context.ts'
import type { Arguments } from './input/options.ts'
import { UsageError } from './input/usage-error.ts'
import { interruptible } from './signals.ts'
import { createNoticeLogger, sayIfSlow } from './terminal/notices.ts'

/** The database that a command line and its environment name. */
export interface NamedDatabase extends DatabaseChoice {
  /** What `--database-url` says. */
  readonly connection: string | undefined
  readonly isEmbedded: boolean
  /** How a log may name it. */
  readonly label: string
}

/**
 * Finds out which database is meant.
 *
 * @throws {UsageError} if `--database-url` names none
 * @throws {BackgroundError} if the environment names none
 */
export function readDatabase(args: Arguments, env: NodeJS.ProcessEnv): NamedDatabase {
  const connection = args.text('database-url')
  try {
    const choice = chooseDatabase(connection, env)
    const isEmbedded = choice.origin === 'embedded'
    return { ...choice, connection, isEmbedded, label: isEmbedded ? '.kretes/' : describeUrl(choice.url, env) }
  } catch (error) {
    if (!(error instanceof TypeError)) throw error
    if (connection !== undefined) throw new UsageError(error.message.replace('the connection', '--database-url'))
    throw new BackgroundError('CONFIGURATION', error.message, { cause: error })
  }
}

/**
 * Waits for work on a database: says so if it takes long, and heeds Ctrl-C.
 *
 * @param isWaiting whether it is the database that takes long
 */
export async function waitFor<Result>(
  work: Promise<Result>,
  { label, isEmbedded }: NamedDatabase,
  signals: Pick<CommandContext, 'stop' | 'stopNow'>,
  logger: Logger,
  isWaiting: () => boolean = () => true
): Promise<Result> {
  // The embedded server tells by itself how it comes along. Left half started, it would stay behind.
  const say = (): void => {
    if (!isEmbedded && isWaiting()) logger.info(`Waiting for the database ${label}`)
  }
  return await sayIfSlow(interruptible(work, signals, isEmbedded), say)
}

/**
 * Opens the database that a worker's tasks share, and tells them where it is: what they start or import finds it in
 * `DATABASE_URL`, unless the environment names a database of their own.
 *
 * @returns what the worker connects with
 */
export async function openForTasks(
  database: NamedDatabase,
  context: CommandContext,
  logger: Logger
): Promise<string | undefined> {
  const { env, stop: signal } = context
  const onProgress = (message: string): void => logger.info(message)
  const opening = database.isEmbedded && openEmbedded({ project: findProject(process.cwd()), onProgress, signal })
  const url = opening ? (await waitFor(opening, database, context, logger)).url : database.connection
  if (url !== undefined && !env.DATABASE_URL && !env.PGHOST && !env.PGDATABASE) env.DATABASE_URL = url
  return url
}

/** Does something with a client of the database that the command line names, and closes it. */
export async function withBackground<Result>(
  args: Arguments,
  context: CommandContext,
  work: (background: BackgroundClient) => Promise<Result>,
  isWaiting?: () => boolean
): Promise<Result> {
  const database = readDatabase(args, context.env)
  const logger = createNoticeLogger(args, context.output)
  async function workAndClose(): Promise<Result> {
    await using background = createBackground({ connection: database.connection, maxConnections: 1, logger })
    return await work(background)
  }
  // The closing is part of what a signal cuts short: it may wait for a connection that never comes about.
  return await waitFor(workAndClose(), database, context, logger, isWaiting)
}
