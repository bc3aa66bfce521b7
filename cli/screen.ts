import { relative } from 'node:path'
import manifest from '../package.json' with { type: 'json' }
import { findProject, homeOf } from '../src/database/embedded/project.ts'
import type { Worker } from '../src/worker/mod.ts'
import type { Output } from './context.ts'
import { pairs } from './output.ts'

/** What a person needs to know to see that it is the right worker on the right database. */
export function startScreen(
  worker: Worker,
  isOnce: boolean,
  { style, width }: Pick<Output, 'style' | 'width'>
): string {
  const { tasks, concurrency } = worker
  const rows = [
    ['database', describeDatabase(worker)],
    ['tasks', tasks.join(', ')],
    ['concurrency', String(concurrency)]
  ] as const
  const title = `${style('bold', 'kretes')} ${style('dim', manifest.version)}`
  const ready = isOnce ? 'Running what is due' : `Ready for jobs ${style('dim', '(Ctrl-C to stop)')}`
  return `\n  ${title}\n\n${pairs(rows, style, { indent: '  ', width })}\n\n  ${ready}\n`
}

/** The same for machines. */
export function startFields({ tasks, concurrency, database }: Worker): Record<string, unknown> {
  const { label, isEmbedded } = database
  return { event: 'worker.ready', version: manifest.version, database: label, isEmbedded, tasks, concurrency }
}

function describeDatabase({ database: { label, isEmbedded } }: Worker): string {
  if (!isEmbedded) return label
  return `${label} (embedded, in ${relative('.', homeOf(findProject('.')))}/)`
}
