import { findEmbedded, findProject, stopEmbedded } from '../../src/database/embedded.ts'
import { BackgroundError } from '../../src/errors.ts'
import type { CommandContext } from '../context.ts'
import { type NamedDatabase, readDatabase } from '../databases.ts'
import type { Arguments } from '../options.ts'
import { interruptible } from '../signals.ts'
import { didYouMean, nearMatches, UsageError } from '../usage.ts'

/** `kretes background db url|stop`: where the database is, and how to stop the project's own if it was left running. */
export async function database(args: Arguments, context: CommandContext): Promise<number> {
  const { env, output } = context
  const [action = ''] = args.words
  if (action === 'url') {
    output.line(await findUrl(readDatabase(args, env)))
    return 0
  }
  if (action === 'stop') {
    const hasStopped = await interruptible(stopEmbedded(findProject(process.cwd())), context, false)
    output.line(hasStopped ? 'Stopped' : 'It was not running')
    return 0
  }
  const near = didYouMean(nearMatches(action, ['url', 'stop']))
  throw new UsageError(`Cannot run db ${action}: it is neither url nor stop${near}`)
}

async function findUrl({ origin, url }: NamedDatabase): Promise<string> {
  if (url !== undefined) return url
  if (origin === 'PG*') {
    throw new BackgroundError(
      'CONFIGURATION',
      'Cannot show a URL: the PG* variables name the database, and psql reads them by itself'
    )
  }
  const embedded = await findEmbedded(findProject(process.cwd()))
  if (embedded) return embedded.url
  throw new BackgroundError(
    'EMBEDDED_DATABASE',
    "Cannot show the URL: the project's own database is not running. Start the worker, and it runs"
  )
}
