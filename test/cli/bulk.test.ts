import { createWriteStream } from 'node:fs'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createDatabase, type TestDatabase } from '../helpers/database.ts'
import { assert, suite } from '../helpers/suite.ts'
import { until } from '../helpers/until.ts'
import { createProgram, NOBODY, type Program, TASKS } from './program.ts'

const test = suite('kretes background schedule --lines')

const MANY = 100_000
const MANY_MEGABYTES = 100

const program = await createProgram({
  ...TASKS,
  // Writes so many lines of about a kilobyte each.
  'write.mjs': `
    import { once } from 'node:events'
    const padding = 'x'.repeat(1_000)
    for (let number = 1; number <= Number(process.argv[2]); number++) {
      if (!process.stdout.write(JSON.stringify({ number, padding }) + '\\n')) await once(process.stdout, 'drain')
    }`,
  // Loaded into the process, tells at its end how much memory that has had at most, in megabytes.
  'peak.mjs': `
    import { writeFileSync } from 'node:fs'
    process.on('exit', () => writeFileSync(process.env.PEAK, String(process.resourceUsage().maxRSS / 1_024)))`
})

/** The program on an empty, migrated database of its own. */
async function onDatabase(): Promise<Program & Pick<TestDatabase, 'sql' | 'name'> & { count(): Promise<number> }> {
  const { url, sql, name } = await createDatabase()
  const withUrl = (env: Record<string, string> = {}): Record<string, string> => ({ DATABASE_URL: url, ...env })
  const own: Program = {
    directory: program.directory,
    start: (args, env) => program.start(args, withUrl(env)),
    run: (args, env) => program.run(args, withUrl(env)),
    shell: (line, env) => program.shell(line, withUrl(env))
  }
  assert.is((await own.run(['bg', 'migrate'])).code, 0)
  const count = async (): Promise<number> =>
    (await sql`select count(*)::int as count from graphile_worker._private_jobs`)[0]?.count
  return { ...own, sql, name, count }
}

const write = (name: string, text: string | Buffer): Promise<void> => writeFile(join(program.directory, name), text)

test('a job is scheduled for each line, in order, all with the same options', async () => {
  const { run, sql } = await onDatabase()
  await write('three.jsonl', '\ufeff{"name":"Ada"}\r\n\n  \n{ "name": "Grace" }\n{"name":"Joan"}')
  const options = ['--queue', 'greetings', '--in', '1h', '--priority', '-3', '--max-attempts', '2']
  const { code, stdout, stderr } = await run(['bg', 'schedule', 'Greet', '--lines', 'three.jsonl', ...options])
  assert.equal({ code, stdout, stderr }, { code: 0, stdout: 'Scheduled 3 jobs of Greet\n', stderr: '' })
  const rows = await sql`
    select payload ->> 'name' as name, queue_name as queue, priority, max_attempts as attempts,
      round(extract(epoch from run_at - created_at))::int as seconds
    from graphile_worker._private_jobs job
    join graphile_worker._private_job_queues queue on queue.id = job.job_queue_id
    order by run_at`
  const rest = { queue: 'greetings', priority: -3, attempts: 2, seconds: 3_600 }
  assert.equal(
    [...rows],
    ['Ada', 'Grace', 'Joan'].map(name => ({ name, ...rest }))
  )
})

test('--json gives the number, one job is said to be one, and nothing is no error', async () => {
  const { run, shell } = await onDatabase()
  const one = await shell(`echo '{}' | kretes bg schedule Greet --lines -`)
  assert.equal([one.stdout, one.code], ['Scheduled 1 job of Greet\n', 0])
  const none = await run(['bg', 'schedule', 'Greet', '--lines', '/dev/null', '--json'])
  assert.equal([none.stdout, none.stderr, none.code], ['{"scheduled":0}\n', '', 0])
})

test('100,000 lines stream through standard input in little memory', async () => {
  const { shell, sql } = await onDatabase()
  const peakOf = async (lines: number): Promise<number> => {
    const file = join(program.directory, `peak-${lines}`)
    const { code, stdout, stderr } = await shell(
      `"${process.execPath}" write.mjs ${lines} | NODE_OPTIONS='--import=./peak.mjs --max-old-space-size=64' kretes bg schedule Greet --lines - --json`,
      { PEAK: file }
    )
    assert.equal([code, stdout, stderr], [0, `{"scheduled":${lines}}\n`, ''])
    return Number(await readFile(file, 'utf8'))
  }
  const few = await peakOf(10)
  const many = await peakOf(MANY)
  // What the collector leaves lying about for a while is bounded by an option, so that what is kept shows.
  assert.ok(many - few < MANY_MEGABYTES * 0.8, `${many} MB for ${MANY} lines, ${few} MB for 10`)
  const [row] = await sql`
    select count(*)::int as count, count(distinct payload ->> 'number')::int as numbers
    from graphile_worker._private_jobs`
  assert.equal(row, { count: MANY + 10, numbers: MANY })
})

const object = '{"name":"Ada"}\n'
const faulty: [what: string, text: string | Buffer, said: string][] = [
  [
    'that is not JSON',
    `${object}${object}{ name: 1 }\n`,
    'line 3 is not JSON: at character 3, expected a name in double quotes, found name: 1 }'
  ],
  ['that breaks off', `${object}{"name":`, 'line 2 is not JSON: at character 9, expected a value, found the end'],
  ['after empty ones', `\n\r\n${object}null`, 'line 4 is null, not an object'],
  ['with an array', '[{"name":"Ada"}]', 'line 1 is an array, not an object'],
  [
    'with a character that the database refuses',
    '{"a":"\\u0000"}',
    'line 1: payload.a holds the character U+0000, which PostgreSQL cannot hold'
  ],
  ['that is not UTF-8', Buffer.from(`${object}{"name":"\xe9"}`, 'latin1'), 'line 2 is not UTF-8'],
  [
    'that is too large',
    `${object}{"a":"${'a'.repeat(2 ** 20)}"}`,
    'line 2: the payload has 1,048,584 bytes, more than the 1,048,576 of maxPayloadBytes. Store it elsewhere and pass a reference'
  ],
  ['without end', Buffer.concat([Buffer.from(object), Buffer.alloc(17 * 2 ** 20, ' ')]), 'line 2 has more than 16 MiB'],
  ['far down', `${object.repeat(5_000)}oops`, 'line 5001 is not JSON: at character 1, expected a value, found oops']
]

test('a line that is no payload is refused by its number, and nothing is scheduled', async () => {
  const { run, count } = await onDatabase()
  for (const [what, text, said] of faulty) {
    await write('faulty.jsonl', text)
    const { code, stdout, stderr } = await run(['bg', 'schedule', 'Greet', '--lines', 'faulty.jsonl'])
    assert.equal([code, stdout, stderr], [2, '', `Cannot schedule Greet: ${said}\n`], what)
    assert.is(await count(), 0, what)
  }
})

const misused: [args: string[], said: string][] = [
  [['--lines'], 'Cannot run kretes background schedule: --lines has no value'],
  [['--lines', 'nothing.jsonl'], 'Cannot read nothing.jsonl: there is no such file'],
  [['--lines', 'tasks'], 'Cannot read tasks: it is a directory'],
  [['--lines', '-', '{}'], 'Cannot schedule Greet: the payloads come from --lines'],
  [['--lines', '-', '--key', 'a'], 'Cannot read --key: it is for one job, and --lines schedules many'],
  [['--lines', '-', '--in', 'soon'], 'Cannot read --in: "soon" is not a duration such as 90s, 5m or 1h30m']
]

for (const [args, said] of misused) {
  test(`schedule Greet ${args.join(' ')} is refused, with exit code 2`, async () => {
    const { code, stdout, stderr } = await program.run(['bg', 'schedule', 'Greet', ...args], { DATABASE_URL: NOBODY })
    assert.equal([code, stdout, stderr.split('\n')[0]], [2, '', said])
  })
}

test('a database that is not there is told in a line, with exit code 1', async () => {
  await write('one.jsonl', object)
  const { code, stdout, stderr } = await program.run(['bg', 'schedule', 'Greet', '--lines', 'one.jsonl'], {
    DATABASE_URL: NOBODY
  })
  assert.match(stderr, /^Cannot schedule many jobs: nothing listens at .*\n$/)
  assert.equal([code, stdout], [1, ''])
})

test('Ctrl-C in the middle leaves nothing scheduled, with exit code 130', async () => {
  const { start, shell, sql, name, count } = await onDatabase()
  await shell('mkfifo pipe.jsonl')
  const child = start(['bg', 'schedule', 'Greet', '--lines', 'pipe.jsonl'])
  const pipe = createWriteStream(join(program.directory, 'pipe.jsonl'))
  pipe.on('error', () => {})
  pipe.write(object.repeat(5_000))
  await until(
    async () =>
      (await sql`select from pg_stat_activity where datname = ${name} and state = 'idle in transaction'`).count
  )
  child.kill('SIGINT')
  const { code, stdout, stderr } = await child.exit
  pipe.destroy()
  assert.equal([code, stdout, stderr], [130, '', 'Interrupted\n'])
  assert.is(await count(), 0)
})
