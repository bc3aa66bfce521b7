import { relative } from 'node:path'
import manifest from '../../package.json' with { type: 'json' }
import { findProject, homeOf } from '../../src/database/project.ts'
import type { Worker } from '../../src/worker/mod.ts'
import type { EnvFile, Output } from '../context.ts'
import type { NamedDatabase } from '../database.ts'
import { fields } from '../terminal/fields.ts'

/** What the screen shows besides the worker. */
export interface StartContext {
  readonly isOnce: boolean
  readonly database: NamedDatabase
  readonly envFile: EnvFile
  /** The names of the only queues whose jobs the worker takes, if it does not take all jobs. */
  readonly queues: readonly string[] | undefined
}

/** The screen of a worker that has started: a person sees whether it is the right one on the right database. */
export function startScreen(
  worker: Worker,
  { isOnce, database, envFile, queues }: StartContext,
  { style, width }: Pick<Output, 'style' | 'width'>
): string {
  const { tasks, concurrency } = worker
  const rows = [
    ['database', `${worker.database.label}${describeOrigin(database, envFile)}`],
    ['tasks', tasks.join(', ')],
    ...(queues ? [['queues', `only ${queues.join(', ')}`] as const] : []),
    ['concurrency', String(concurrency)]
  ] as const
  const title = `${style('bold', 'kretes')} ${style('dim', manifest.version)}`
  const ready = isOnce ? 'Running what is due' : `Ready for jobs ${style('dim', '(Ctrl-C to stop)')}`
  return `\n  ${title}\n\n${fields(rows, style, { indent: '  ', width })}\n\n  ${ready}\n`
}

/** The same for programs. */
export function startFields(
  { tasks, concurrency, database: { label } }: Worker,
  { database: { isEmbedded }, queues }: StartContext
): Record<string, unknown> {
  const known = { event: 'worker.ready', version: manifest.version, database: label, isEmbedded, tasks, concurrency }
  return queues ? { ...known, queues } : known
}

/** Names the source of the database where it is easy to overlook. */
function describeOrigin({ isEmbedded, origin }: NamedDatabase, file: EnvFile): string {
  if (isEmbedded) return ` (embedded, in ${relative('.', homeOf(findProject('.')))}/)`
  const names = origin === 'PG*' ? ['PGHOST', 'PGDATABASE'] : [origin]
  const [name] = names.filter(name => file[name] && file[name] === process.env[name])
  return name === undefined ? '' : ` (${name} from .env)`
}
