import { describeUrl } from '../../src/database/config.ts'
import { findProject } from '../../src/database/embedded/project.ts'
import { findEmbedded, openEmbedded, stopEmbedded } from '../../src/database/embedded.ts'
import { requireDatabase } from '../../src/database/open.ts'
import { BackgroundError } from '../../src/errors.ts'
import type { CommandContext } from '../context.ts'
import { type NamedDatabase, readDatabase, waitFor } from '../database.ts'
import type { Arguments } from '../input/options.ts'
import { didYouMean, nearMatches, UsageError } from '../input/usage-error.ts'
import { interruptible } from '../signals.ts'
import { createNoticeLogger } from '../terminal/notices.ts'

/** `kretes background db start|status|stop|url`: the project's own database, and where the one in use is. */
export async function database(args: Arguments, context: CommandContext): Promise<number> {
  const [action = ''] = args.words
  const run = actions[action]
  if (run) return await run(args, context)
  const names = Object.keys(actions)
  const near = didYouMean(nearMatches(action, names))
  throw new UsageError(`Cannot run db ${action}: it is none of ${names.join(', ')}${near}`)
}

const actions: Readonly<Record<string, (args: Arguments, context: CommandContext) => Promise<number>>> = {
  /** Starts the server and leaves it running: it stays until it is stopped. */
  async start(args, context) {
    const { output, env } = context
    const named = readDatabase(args, env)
    if (!named.isEmbedded) {
      throw new BackgroundError(
        'CONFIGURATION',
        `Cannot start a database: ${nameSource(named)} names ${named.label}, and that is the one in use. Without it there would be one in .kretes/`
      )
    }
    const { label, wasStaying } = await withEmbedded(named, args, context, async server => {
      const wasStaying = await server.isStaying()
      if (!wasStaying) await server.stay()
      return { label: describeUrl(server.url), wasStaying }
    })
    output.line(`${wasStaying ? 'Running already' : 'Running'} at ${label}, until: kretes background db stop`)
    return 0
  },

  async status(args, context) {
    const { output, env } = context
    const named = readDatabase(args, env)
    if (!named.isEmbedded) {
      output.line(`${named.label}, named by ${nameSource(named)}. How it is: kretes background doctor`)
      return 0
    }
    await requireDatabase(undefined, 'show the database')
    const server = await interruptible(findEmbedded(findProject(process.cwd())), context, false)
    if (!server) {
      output.line('Not running. Start it: kretes background db start')
      return 1
    }
    const isStaying = await server.isStaying()
    await server.release()
    const until = isStaying ? 'until: kretes background db stop' : 'until nobody has used it for half a minute'
    output.line(`Running at ${describeUrl(server.url)}, ${until}`)
    return 0
  },

  async stop(_args, context) {
    const hasStopped = await interruptible(stopEmbedded(findProject(process.cwd())), context, false)
    context.output.line(hasStopped ? 'Stopped' : 'It was not running')
    return 0
  },

  /** Of the project's own too if it does not run: the server waits a while for the one who asks. */
  async url(args, context) {
    const named = readDatabase(args, context.env)
    if (named.origin === 'PG*') {
      throw new BackgroundError(
        'CONFIGURATION',
        'Cannot show a URL: the PG* variables name the database, and psql reads them by itself'
      )
    }
    if (named.isEmbedded) await requireDatabase(undefined, 'show a URL')
    const url = named.url ?? (await withEmbedded(named, args, context, async server => server.url))
    context.output.line(url)
    return 0
  }
}

async function withEmbedded<Result>(
  named: NamedDatabase,
  args: Arguments,
  context: CommandContext,
  work: (server: Awaited<ReturnType<typeof openEmbedded>>) => Promise<Result>
): Promise<Result> {
  const logger = createNoticeLogger(args, context.output)
  async function open(): Promise<Result> {
    const server = await openEmbedded({
      project: findProject(process.cwd()),
      onProgress: message => logger.info(message),
      signal: context.stop
    })
    return await work(server).finally(server.release)
  }
  return await waitFor(open(), named, context, logger)
}

function nameSource({ origin }: NamedDatabase): string {
  return origin === 'option' ? '--database-url' : origin === 'PG*' ? 'PGHOST or PGDATABASE' : origin
}
