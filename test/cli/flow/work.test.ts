import { createDatabase } from '../../helpers/database.ts'
import { assert, suite } from '../../helpers/suite.ts'
import { until } from '../../helpers/until.ts'
import { createProgram, type Program, TASKS } from '../program.ts'

const test = suite('kretes background with --only, --except and --queue')
const files = {
  ...TASKS,
  'versions/Mail.ts': `
    import { defineTask } from 'kretes'
    export default defineTask({ name: 'Mail', version: Number(process.env.MAIL_VERSION), run: async () => {} })`
}
const program = await createProgram(files)

async function onDatabase(): Promise<Program & { left(): Promise<string[]> }> {
  const { url, sql } = await createDatabase()
  const own = (env: Record<string, string> = {}): Record<string, string> => ({ DATABASE_URL: url, ...env })
  return {
    ...program,
    start: (args, env) => program.start(args, own(env)),
    run: (args, env) => program.run(args, own(env)),
    async left() {
      const rows = await sql`
        select task_identifier as task, queue_name as queue from graphile_worker.jobs order by 1, 2 nulls first`
      return rows.map(({ task, queue }) => `${task} ${queue}`)
    }
  }
}

const JOBS = ['Greet null', 'Greet email', 'Greet files', 'SendEmail null', 'SendEmail email', 'SendEmail files']
for (const [args, ran] of [
  [
    ['--only', 'Greet'],
    ['Greet null', 'Greet email', 'Greet files']
  ],
  [['--only', 'Greet', '--only=SendEmail'], JOBS],
  [
    ['--except', 'Greet', '--except', 'Fail'],
    ['SendEmail null', 'SendEmail email', 'SendEmail files']
  ],
  [
    ['--queue', 'email'],
    ['Greet email', 'SendEmail email']
  ],
  [
    ['--queue', 'email', '--queue=files'],
    ['Greet email', 'Greet files', 'SendEmail email', 'SendEmail files']
  ],
  [['--only', 'Greet', '--queue', 'files'], ['Greet files']]
] as const) {
  test(`runs its part alone and ends: ${args.join(' ')}`, async () => {
    const { run, left } = await onDatabase()
    const jobs = JOBS.map(job => job.split(' '))
    const list = jobs.map(([task, queue]) => [
      'bg',
      'schedule',
      task!,
      ...(queue === 'null' ? [] : ['--queue', queue!])
    ])
    for (const words of list) assert.is((await run(words)).code, 0)
    const { code, stderr } = await run(['bg', '--once', ...args])
    assert.is(code, 0, stderr)
    assert.equal((await left()).toSorted(), JOBS.filter(job => !ran.includes(job as never)).toSorted())
  })
}

test('shows the queues that it takes, to people and to programs', async () => {
  const { run } = await onDatabase()
  const queues = ['--queue', 'email', '--queue', 'two words']
  const { stdout } = await run(['bg', '--once', ...queues])
  assert.match(stdout, /\n {2}queues {7}only email, two words\n/)
  const lines = (await run(['bg', '--once', '--log-format', 'json', ...queues])).stdout.trim().split('\n')
  const ready = lines.map(line => JSON.parse(line)).find(({ event }) => event === 'worker.ready')
  assert.equal(ready?.queues, ['email', 'two words'])
})

test('shows the tasks that it runs', async () => {
  const { run } = await onDatabase()
  const { stdout } = await run(['bg', '--once', '--except', 'Escape', '--except', 'Wait'])
  assert.match(stdout, /\n {2}tasks {8}Fail, Greet, SendEmail\n/)
})

test('goes on beside jobs that others must run', async () => {
  const { run, start, left } = await onDatabase()
  await run(['bg', 'schedule', 'SendEmail'])
  const worker = start(['bg', '--only', 'Greet', '--log-format', 'json'])
  await worker.output(/"event":"worker\.ready"/)
  await run(['bg', 'schedule', 'Greet'])
  await worker.output(/"event":"job\.succeeded","task":"Greet"/)
  worker.kill('SIGTERM')
  assert.is((await worker.exit).code, 0)
  assert.equal(await left(), ['SendEmail null'])
})

test('leaves what a newer version of its task has scheduled, and the newer worker runs it', async () => {
  const { run, start, left } = await onDatabase()
  const newer = start(['bg', '--tasks', 'versions', '--log-format', 'json'], { MAIL_VERSION: '2' })
  await newer.output(/"event":"worker\.ready"/)
  newer.kill('SIGTERM')
  await newer.exit
  await run(['bg', 'schedule', 'Mail', '--tasks', 'versions'], { MAIL_VERSION: '2' })
  const args = ['bg', '--tasks', 'versions', '--once']
  await run(args, { MAIL_VERSION: '1' })
  assert.equal(await left(), ['Mail null'])
  const why = await run(['bg', 'why', '1'])
  assert.match(why.stdout, /No worker is running/)
  await run(args, { MAIL_VERSION: '2' })
  await until(async () => (await left()).length === 0)
})

for (const [args, message] of [
  [['--only', 'Greet', '--except', 'Fail'], /^Cannot .*either --only or --except/],
  [['--only', 'Gret'], /^Cannot read --only: there is no task "Gret"\. Did you mean Greet\?/],
  [['--except', 'Xylophone'], /^Cannot read --except: there is no task "Xylophone", only .*Greet/],
  [
    ['Greet', 'Fail', 'Wait', 'Escape', 'SendEmail'].flatMap(task => ['--except', task]),
    /^Cannot read --except: .*all/
  ],
  [['--queue', 'q'.repeat(129)], /^Cannot .*queue/],
  [['--queue', ''], /^Cannot .*queue/],
  [['--only'], /--only/]
] as const) {
  test(`does not start with ${args.join(' ').slice(0, 60)}`, async () => {
    const { run } = await onDatabase()
    const exit = await run(['bg', '--once', ...args])
    assert.match(exit.stderr, message)
    assert.is(exit.code, 2, exit.stderr)
  })
}
