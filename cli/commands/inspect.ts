import type { CAC, Command } from 'cac'
import { JOB_STATES } from '../../src/ledger/filter.ts'
import { RUN_STATES } from '../../src/sql/ledger/schema.ts'
import { cancel } from './bulk/cancel.ts'
import { deleteJobs } from './bulk/delete.ts'
import { retryJobs } from './bulk/retry.ts'
import { runJobsNow } from './bulk/run-now.ts'
import { listJobs } from './jobs.ts'
import { showLogs } from './logs.ts'
import { listRuns } from './runs.ts'
import { showJob } from './show.ts'

/** What carries out the commands of {@linkcode defineInspectCommands}. */
export const inspectActions = {
  jobs: listJobs,
  runs: listRuns,
  show: showJob,
  logs: showLogs,
  retry: retryJobs,
  cancel,
  delete: deleteJobs,
  'run-now': runJobsNow
}

/** The commands that look at jobs and runs, and those that change jobs. */
export function defineInspectCommands(cli: CAC): void {
  const databaseUrl = ['--database-url <url>', 'The database (default: DATABASE_URL, PG*, or one in .kretes/)'] as const
  const json = ['--json', 'Print it as JSON'] as const

  function filtered(command: Command, states: readonly string[]): Command {
    return command
      .option('--state <state...>', `Only of this state: ${states.join(', ')}; may be given more than once`)
      .option('--task <name>', 'Only of this task')
      .option('--queue <name>', 'Only of this queue')
  }
  function paged(command: Command): Command {
    return command
      .option('--limit <number>', 'How many, up to 1000 (default: 50)')
      .option('--cursor <cursor>', 'Go on where an earlier page ended')
      .option(...json)
      .option(...databaseUrl)
  }
  function bulk(name: string, description: string): Command {
    return filtered(cli.command(`${name} [...jobs]`, description), JOB_STATES)
      .option('--search <text>', 'Only with this in id, key, task, error or payload')
      .option('--all', 'All jobs, where nothing else says which')
      .option('--dry-run', 'Change nothing, only count')
      .option('-y, --yes', 'Do not ask before more than one job is changed')
      .option(...json)
      .option(...databaseUrl)
  }

  paged(
    filtered(cli.command('jobs', 'List jobs that are not done'), JOB_STATES).option(
      '--search <text>',
      'Only with this in id, key, task, error or payload'
    )
  ).example(name => `  $ ${name} jobs --state failed --task SendEmail`)
  paged(
    filtered(cli.command('runs', 'List attempts that have ended'), RUN_STATES)
      .option('--search <text>', 'Only with this in job id, key or error')
      .option('--job <id>', 'Only of this job')
      .option('--since <time>', 'Only those that ended since then: a time, or a duration such as 1h30m')
  ).example(name => `  $ ${name} runs --state failed --since 1h`)
  cli
    .command('show <job>', 'Show everything about one job, by id or key')
    .option(...json)
    .option(...databaseUrl)
    .example(name => `  $ ${name} show 42`)
  cli
    .command('logs <job>', 'Show what a job has logged, by id or key')
    .option('-f, --follow', 'Go on until the job is done')
    .option('--json', 'Print each line as JSON')
    .option(...databaseUrl)
    .example(name => `  $ ${name} logs 42 -f`)
  bulk('retry', 'Run failed jobs again now, by id or key or filter').example(
    name => `  $ ${name} retry 42 43\n  $ ${name} retry --state failed --task SendEmail --dry-run`
  )
  bulk('cancel', 'Remove jobs that wait and stop those that run, by id or key or filter').example(
    name => `  $ ${name} cancel 42`
  )
  bulk('delete', 'Remove jobs that do not run, by id or key or filter').example(
    name => `  $ ${name} delete --state failed --task SendEmail --yes`
  )
  bulk('run-now', 'Have jobs run now that wait for their time, by id or key or filter').example(
    name => `  $ ${name} run-now --state scheduled --queue email`
  )
}
