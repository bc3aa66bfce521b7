import type { BackgroundClient } from '../src/client.ts'
import { chooseDatabase, type DatabaseChoice, describeUrl } from '../src/database/choose.ts'
import type { EmbeddedServer } from '../src/database/embedded.ts'
import { findProject } from '../src/database/project.ts'
import { BackgroundError } from '../src/errors.ts'
import type { Logger } from '../src/logger.ts'
import type { CommandContext, ProgramContext } from './context.ts'
import { UsageError } from './input/usage-error.ts'
import { interruptible } from './signals.ts'

/** The options that name a database. */
interface DatabaseOptions {
  readonly databaseUrl: string | undefined
}

/** The database that a command line and its environment name. */
export interface NamedDatabase extends DatabaseChoice {
  /** The value of `--database-url`. */
  readonly connection: string | undefined
  readonly isEmbedded: boolean
  /** Its name for logs, without a password. */
  readonly label: string
}

/**
 * Finds the database that a command line and its environment name.
 *
 * @throws {UsageError} if `--database-url` is no URL of a database
 * @throws {BackgroundError} if the environment names no database
 */
export function readDatabase({ databaseUrl: connection }: DatabaseOptions, env: NodeJS.ProcessEnv): NamedDatabase {
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
 * Waits for work on a database. Says so after a second, and ends the wait at Ctrl-C.
 *
 * @param isWaiting whether the work waits for the database, not for something else
 */
export async function waitFor<Result>(
  work: Promise<Result>,
  { label, isEmbedded }: NamedDatabase,
  signals: Pick<ProgramContext, 'stop' | 'stopNow'>,
  logger: Logger,
  isWaiting: () => boolean = () => true
): Promise<Result> {
  const say = (): void => {
    // The embedded server reports its own progress.
    if (!isEmbedded && isWaiting()) logger.info(`Waiting for the database ${label}`)
  }
  const timer = setTimeout(say, SLOW_MS)
  try {
    // An embedded server that is only half started would stay behind.
    return await interruptible(work, signals, isEmbedded)
  } finally {
    clearTimeout(timer)
  }
}

/**
 * Opens the database for task files, and puts its URL into `DATABASE_URL` unless the environment names a database: code
 * that they import or start finds it there.
 *
 * @returns the connection of the worker
 */
export async function openForTasks(
  database: NamedDatabase,
  context: Pick<ProgramContext, 'env' | 'stop' | 'stopNow'>,
  logger: Logger
): Promise<string | undefined> {
  const { env } = context
  const opening = database.isEmbedded && openServer(context, logger)
  const url = opening ? (await waitFor(opening, database, context, logger)).url : database.connection
  if (url !== undefined && !env.DATABASE_URL && !env.PGHOST && !env.PGDATABASE) env.DATABASE_URL = url
  return url
}

/** Runs work with a client of the database that the command line names, and closes the client. */
export async function withBackground<Result>(
  options: DatabaseOptions,
  context: CommandContext,
  work: (background: BackgroundClient) => Promise<Result>,
  isWaiting?: () => boolean
): Promise<Result> {
  const database = readDatabase(options, context.env)
  const { notices: logger } = context
  async function workAndClose(): Promise<Result> {
    const { createBackground } = await import('../mod.ts')
    await using background = createBackground({ connection: database.connection, maxConnections: 1, logger })
    return await work(background)
  }
  // A signal also cuts short the closing: it may wait for a connection that is never made.
  return await waitFor(workAndClose(), database, context, logger, isWaiting)
}

/** Opens the embedded server of the project, and starts it if it is not running. */
export async function openServer({ stop }: Pick<ProgramContext, 'stop'>, logger: Logger): Promise<EmbeddedServer> {
  const { openEmbedded } = await import('../src/database/embedded.ts')
  const onProgress = (message: string): void => logger.info(message)
  return await openEmbedded({ project: findProject(process.cwd()), onProgress, signal: stop })
}

const SLOW_MS = 1_000
