import { defineBulkCommand } from './bulk.ts'

/** `kretes background retry`: runs failed jobs again immediately, with all their attempts. */
export const retry = defineBulkCommand({
  usage: 'retry [...jobs]',
  summary: 'Run failed jobs again now, by id, key or filter',
  examples: program => [`  $ ${program} retry 42 43`, `  $ ${program} retry --state failed --task SendEmail --dry-run`],
  verb: 'retry',
  done: 'Retried',
  ofRunning: count => `${count} running were left alone`,
  act: (background, selection, options) => background.retry(selection, options)
})
