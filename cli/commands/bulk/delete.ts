import { defineBulkCommand } from './bulk.ts'

/** `kretes background delete`: removes jobs that are not running. */
export const deleteJobs = defineBulkCommand({
  usage: 'delete [...jobs]',
  summary: 'Remove jobs that are not running, by id, key or filter',
  examples: program => [`  $ ${program} delete --state failed --task SendEmail --yes`],
  verb: 'delete',
  done: 'Deleted',
  ofRunning: count => `${count} running were left alone; cancel stops them`,
  act: (background, selection, options) => background.delete(selection, options)
})
