import { defineBulkCommand } from './bulk.ts'

/** `kretes background run-now`: makes jobs due that wait for their time. */
export const runNow = defineBulkCommand({
  usage: 'run-now [...jobs]',
  summary: 'Make scheduled jobs due now, by id, key or filter',
  examples: program => [`  $ ${program} run-now --state scheduled --queue email`],
  verb: 'run',
  done: 'Due now:',
  ofRunning: count => `${count} running were left alone`,
  act: (background, selection, options) => background.runNow(selection, options)
})
