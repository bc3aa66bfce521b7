import { describeUrl } from '../../src/database/choose.ts'
import type { EmbeddedServer } from '../../src/database/embedded.ts'
import { findProject } from '../../src/database/project.ts'
import { requireDatabase } from '../../src/database/require-database.ts'
import { BackgroundError } from '../../src/errors.ts'
import { defineCommand } from '../command.ts'
import type { CommandContext } from '../context.ts'
import { type NamedDatabase, openServer, readDatabase, waitFor } from '../database.ts'
import { databaseUrl } from '../input/options.ts'
import { didYouMean, nearMatches, UsageError } from '../input/usage-error.ts'
import { interruptible } from '../signals.ts'

/** `kretes background db start|status|stop|url`: controls the embedded database, and shows which database is in use. */
export const db = defineCommand({
  usage: 'db <action>',
  summary: 'Control the database in .kretes/: start, status, stop; or print the URL in use: url',
  options: { databaseUrl },
  examples: program => [`  $ ${program} db start`, `  $ psql "$(${program} db url)"`, `  $ ${program} db stop`],

  async run({ words: [action = ''], options }, context) {
    const run = Object.hasOwn(actions, action) && actions[action]
    if (run) return await run(() => readDatabase(options, context.env), context)
    const names = Object.keys(actions)
    const near = didYouMean(nearMatches(action, names))
    throw new UsageError(`Cannot run db ${action}: it is none of ${names.join(', ')}${near}`)
  }
})

type Action = (readNamed: () => NamedDatabase, context: CommandContext) => Promise<number>

const actions: Readonly<Record<string, Action>> = {
  /** Starts the server and leaves it running until `db stop`. */
  async start(readNamed, context) {
    const named = readNamed()
    if (!named.isEmbedded) {
      throw new BackgroundError(
        'CONFIGURATION',
        `Cannot start a database: ${nameSource(named)} names ${named.label}, and that is the one in use. Without it there would be one in .kretes/`
      )
    }
    const { label, wasStaying } = await withEmbedded(named, context, async server => {
      const wasStaying = await server.isStaying()
      if (!wasStaying) await server.stay()
      return { label: describeUrl(server.url), wasStaying }
    })
    context.output.line(`${wasStaying ? 'Running already' : 'Running'} at ${label}, until: kretes background db stop`)
    return 0
  },

  async status(readNamed, context) {
    const { output } = context
    const named = readNamed()
    if (!named.isEmbedded) {
      output.line(`${named.label}, named by ${nameSource(named)}. How it is: kretes background doctor`)
      return 0
    }
    await requireDatabase(undefined, 'show the database')
    const { findEmbedded } = await import('../../src/database/embedded.ts')
    const server = await interruptible(findEmbedded(findProject(process.cwd())), context, false)
    if (!server) {
      output.line('Not running. Start it: kretes background db start')
      return 1
    }
    const isStaying = await server.isStaying()
    await server.release()
    const until = isStaying ? 'until: kretes background db stop' : 'until it has not been used for half a minute'
    output.line(`Running at ${describeUrl(server.url)}, ${until}`)
    return 0
  },

  async stop(_readNamed, context) {
    const { stopEmbedded } = await import('../../src/database/embedded.ts')
    const hasStopped = await interruptible(stopEmbedded(findProject(process.cwd())), context, false)
    context.output.line(hasStopped ? 'Stopped' : 'It was not running')
    return 0
  },

  /**
   * Starts the embedded server if it is not running. The server then runs for a while without clients, so that the
   * program that gets the URL can connect.
   */
  async url(readNamed, context) {
    const named = readNamed()
    if (named.origin === 'PG*') {
      throw new BackgroundError(
        'CONFIGURATION',
        'Cannot show a URL: the PG* variables name the database, and psql reads them itself'
      )
    }
    if (named.isEmbedded) await requireDatabase(undefined, 'show a URL')
    context.output.line(named.url ?? (await withEmbedded(named, context, async server => server.url)))
    return 0
  }
}

async function withEmbedded<Result>(
  named: NamedDatabase,
  context: CommandContext,
  work: (server: EmbeddedServer) => Promise<Result>
): Promise<Result> {
  async function open(): Promise<Result> {
    const server = await openServer(context, context.notices)
    return await work(server).finally(server.release)
  }
  return await waitFor(open(), named, context, context.notices)
}

function nameSource({ origin }: NamedDatabase): string {
  return origin === 'option' ? '--database-url' : origin === 'PG*' ? 'PGHOST or PGDATABASE' : origin
}
