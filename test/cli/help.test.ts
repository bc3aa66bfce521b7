import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { nodeOf } from '../helpers/installed.ts'
import { run as runCommand } from '../helpers/process.ts'
import { assert, suite } from '../helpers/suite.ts'
import { createProgram, NOBODY } from './program.ts'

const test = suite('help')
const { directory, run, shell } = await createProgram({}, { DATABASE_URL: NOBODY })
const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))

test('kretes alone shows its help and ends with exit code 2, since nothing was done', async () => {
  const alone = await run([])
  const asked = await run(['--help'])
  assert.equal(alone, { ...asked, code: 2 })
  assert.equal([asked.code, asked.stderr], [0, ''])
})

test('the help of the worker shows every command and option', async () => {
  const { code, stdout, stderr } = await run(['bg', '-h'])
  assert.is(stdout, WORKER_HELP)
  assert.is(stderr, '')
  assert.is(code, 0)
})

test('every command has a help of its own', async () => {
  for (const [command, usage] of Object.entries(USAGES)) {
    const { code, stdout } = await run(['background', command, '--help'])
    assert.ok(stdout.includes(`Usage:\n  $ kretes background ${usage} [options]\n`), stdout)
    assert.ok(stdout.includes('  -h, --help '), stdout)
    assert.not.match(stdout, / $/m)
    assert.is(code, 0)
  }
})

test('--version is the same on every level', async () => {
  for (const words of [[], ['bg'], ['background', 'schedule'], ['bg', 'tasks'], ['bg', 'migrate'], ['bg', 'db']]) {
    for (const option of ['--version', '-v']) {
      const { code, stdout, stderr } = await run([...words, option])
      const line = `kretes ${version} (node ${process.versions.node}, ${process.platform} ${process.arch})\n`
      assert.equal({ code, stdout, stderr }, { code: 0, stdout: line, stderr: '' })
    }
  }
})

test('a reader who goes away is no error', async () => {
  const { code, stdout, stderr } = await shell(
    'set -e; kretes bg --help | head -1; kretes --help >&-; kretes nonsense 2>&- || echo "then $?"'
  )
  assert.equal(
    { code, stdout, stderr },
    { code: 0, stdout: 'Run background jobs, schedule them, look after their database\nthen 2\n', stderr: '' }
  )
})

test('a Node that is too old is told so in a sentence', async () => {
  const node = join(await nodeOf(20), 'node')
  const { code, stdout, stderr } = await runCommand(node, [join(directory, 'node_modules/.bin/kretes'), 'bg'])
  assert.match(
    stderr,
    /^kretes needs Node\.js 22\.18 or newer: this is 20\.\d+\.\d+\. To add one to this project: npm install .*\n$/
  )
  assert.is(stdout, '')
  assert.is(code, 1)
})

const USAGES = {
  schedule: 'schedule <task> [payload]',
  reschedule: 'reschedule <job>',
  jobs: 'jobs',
  runs: 'runs',
  show: 'show <job>',
  logs: 'logs <job>',
  retry: 'retry [...jobs]',
  cancel: 'cancel [...jobs]',
  delete: 'delete [...jobs]',
  'run-now': 'run-now [...jobs]',
  tasks: 'tasks',
  migrate: 'migrate',
  db: 'db <action>'
}

const WORKER_HELP = `\
Run background jobs, schedule them, look after their database

Usage:
  $ kretes background [options]
  $ kretes background <command> [options]

Commands:
  kretes background                            Run the worker
  kretes background schedule <task> [payload]  Schedule a job; the payload is a JSON object, @file, or - for standard input
  kretes background reschedule <job>           Change when and how a waiting job runs, by id or key
  kretes background jobs                       List jobs that are not done
  kretes background runs                       List runs that have ended
  kretes background show <job>                 Show everything about one job, by id or key
  kretes background logs <job>                 Show what a job has logged, by id or key
  kretes background retry [...jobs]            Run failed jobs again now, by id, key or filter
  kretes background cancel [...jobs]           Remove waiting jobs and stop running ones, by id, key or filter
  kretes background delete [...jobs]           Remove jobs that are not running, by id, key or filter
  kretes background run-now [...jobs]          Make scheduled jobs due now, by id, key or filter
  kretes background cron [command]             List, set and pause recurring jobs
  kretes background pause                      Pause a task, a queue, a limit or everything: jobs wait until resume
  kretes background resume                     End a pause: workers take its jobs at once
  kretes background pauses                     List what is paused, by whom and why
  kretes background limits [command]           List and set the limits of tasks and queues
  kretes background status                     Show tasks, queues and workers
  kretes background why <job>                  Show why a job is not running, by id or key, or about a recurring job, by name
  kretes background doctor                     Look for problems and show their remedies; exits with 1 if there are any
  kretes background prune                      Remove old runs from the ledger, as workers do
  kretes background tasks                      List the task files
  kretes background migrate                    Update the database's schema
  kretes background db <action>                Control the database in .kretes/: start, status, stop; or print the URL in use: url

Options:
      --concurrency <number>         How many jobs run at the same time (default: 10)
      --tasks <directory>            The directory of the task files (default: tasks)
      --only <task...>               Run only this task; may be repeated
      --except <task...>             Do not run this task; may be repeated
      --queue <name...>              Run only jobs of this queue; may be repeated
      --database-url <url>           The database to use (default: DATABASE_URL, PG*, or one in .kretes/)
      --once                         Run the jobs that are due, then exit
      --detached                     Keep running when the parent process ends: a shell, npx, a terminal
      --shutdown-timeout <duration>  How long running jobs may take to finish when the worker stops (default: 25s)
      --health-port <port>           Serve /live and /ready over HTTP on this port (default: none)
      --health-host <address>        Serve them on this address only (default: all)
      --keep-successes <duration>    How long to keep runs that did not fail, or forever (default: 7d)
      --keep-failures <duration>     How long to keep runs that failed, or forever (default: 30d)
      --no-ledger                    Record no runs
      --log-format <format>          pretty or json (default: pretty)
      --log-level <level>            debug, info, warn, error, silent (default: info)
  -h, --help                         Print this text
  -v, --version                      Print the version

Examples:
  $ kretes background --concurrency 20
  $ kretes background --once --log-format json
In containers, systemd and PM2, where npx and sh would keep SIGTERM from the worker:
  $ node node_modules/kretes/dist/cli.js bg
`
