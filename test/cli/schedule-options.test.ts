import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createDatabase } from '../helpers/database.ts'
import { assert, suite } from '../helpers/suite.ts'
import { createProgram, NOBODY, TASKS } from './program.ts'

const test = suite('the options of kretes background schedule')
const { url, sql } = await createDatabase()
const { directory, run, shell } = await createProgram(TASKS, { DATABASE_URL: url })
await writeFile(join(directory, 'payload.json'), '\ufeff{\n  "name": "Ada"\n}\n')
await writeFile(join(directory, 'latin1.json'), Buffer.from('{ "name": "\xe9" }', 'latin1'))
await writeFile(join(directory, 'half.json'), '{ "name": ')
await writeFile(join(directory, 'list.json'), '[]')
await writeFile(join(directory, 'huge.json'), Buffer.alloc(17 * 2 ** 20, ' '))

/** The job of an id, as the database has it. */
async function find(id: string): Promise<Record<string, unknown> | undefined> {
  const [row] = await sql`
    select payload, queue_name as queue, priority, max_attempts as attempts, key
    from graphile_worker._private_jobs job
    left join graphile_worker._private_job_queues queue on queue.id = job.job_queue_id
    where job.id = ${id}`
  return row
}

async function schedule(...args: string[]): Promise<{ id: string; runAt: string; scheduledAt: string }> {
  const { code, stdout, stderr } = await run(['bg', 'schedule', 'Greet', ...args, '--json'])
  assert.equal([code, stderr], [0, ''])
  return JSON.parse(stdout)
}

test('every option reaches the job, and the output shows what is not as ever', async () => {
  const options = ['--queue', 'mail', '--priority', '-5', '--max-attempts', '3', '--key', 'a key']
  const { code, stdout } = await run(['bg', 'schedule', 'Greet', '{"name":"Ada"}', '--in', '5m', ...options])
  assert.match(
    stdout,
    new RegExp(
      '^Scheduled\n  job       \\d+\n  task      Greet\n  queue     mail\n  runs at   20\\S+Z \\(in \\d+ minutes\\)\n' +
        '  priority  -5\n  attempts  3 at most\n  key       a key\n$'
    )
  )
  assert.is(code, 0)
  const [, id = ''] = /job +(\d+)/.exec(stdout) ?? []
  assert.equal(await find(id), {
    payload: { name: 'Ada' },
    queue: 'mail',
    priority: -5,
    attempts: 3,
    key: 'a key'
  })
})

test('--delay, or --in, counts from now, and --run-at names a time', async () => {
  const delayed = await schedule('--in', '1h30m')
  assert.ok(Date.parse((await schedule('--delay', '1h')).runAt) < Date.parse(delayed.runAt))
  // The two are taken by the database a moment apart.
  assert.is(Math.round((Date.parse(delayed.runAt) - Date.parse(delayed.scheduledAt)) / 1_000), 90 * 60)
  const timed = await schedule('--run-at', '2030-01-31T09:00:00+01:00')
  assert.is(timed.runAt, '2030-01-31T08:00:00.000Z')
})

test('a time is told in words as long as it is to come', async () => {
  const words = async (...args: string[]): Promise<string> =>
    (await run(['bg', 'schedule', 'Greet', ...args])).stdout.match(/runs at +\S+(.*)\n/)?.[1] ?? ''
  assert.is(await words('--in', '1d'), ' (in 1 day)')
  assert.is(await words('--in', '2h30m'), ' (in 2.5 hours)')
  assert.match(await words('--in=50s'), /^ \(in \d\d seconds\)$/)
  assert.is(await words('--in=0s'), '')
  assert.is(await words('--run-at', '2020-01-01T00:00:00Z'), '')
})

test('a negative priority may follow an equals sign, and the ends of the range are allowed', async () => {
  for (const priority of [-32_768, -5, 0, 32_767]) {
    const { id } = await schedule(`--priority=${priority}`, '--max-attempts=32767')
    assert.is((await find(id))?.priority, priority)
  }
})

test('--key-mode decides about a job of the same key', async () => {
  const first = await schedule('{"n":1}', '--key', 'mode', '--in', '1h')
  const kept = await schedule('{"n":2}', '--key', 'mode', '--key-mode', 'preserveRunAt')
  assert.equal([kept.id, kept.runAt], [first.id, first.runAt])
  const deduped = await schedule('{"n":3}', '--key', 'mode', '--key-mode', 'unsafeDedupe')
  assert.is(deduped.id, first.id)
  assert.equal((await find(first.id))?.payload, { n: 2 })
  const replaced = await schedule('{"n":4}', '--key', 'mode', '--key-mode', 'replace')
  assert.is(replaced.id, first.id)
  assert.ok(Date.parse(replaced.runAt) < Date.parse(first.runAt))
  assert.equal((await find(first.id))?.payload, { n: 4 })
})

test('the payload comes from a file, or from standard input', async () => {
  const fromFile = await schedule('@payload.json')
  assert.equal((await find(fromFile.id))?.payload, { name: 'Ada' })
  const { code, stdout, stderr } = await shell(
    `printf '{"name":\\n"Gr\\303\\244ce"}' | kretes bg schedule Greet - --json`
  )
  assert.equal([code, stderr], [0, ''])
  assert.equal((await find(JSON.parse(stdout).id))?.payload, { name: 'Gräce' })
})

const refused: [args: string[], said: string][] = [
  [['--delay', '5x'], 'Cannot read --delay: "5x" is not a duration such as 90s, 5m or 1h30m'],
  [['--in', '5x'], 'Cannot read --in: "5x" is not a duration such as 90s, 5m or 1h30m'],
  [['--in', '300'], 'Cannot read --in: "300" is not a duration such as 90s, 5m or 1h30m'],
  [['--in', '-5m'], 'Cannot read --in: "-5m" is not a duration such as 90s, 5m or 1h30m'],
  [['--in', '99999d'], 'Cannot read --in: it is longer than 100 years'],
  [['--in='], 'Cannot read --in: it is empty'],
  [
    ['--in', '1h', '--run-at', '2030-01-31T08:00:00Z'],
    'Cannot read --in: --run-at is given as well, and a job has one time'
  ],
  [
    ['--run-at', 'tomorrow'],
    'Cannot read --run-at: it is "tomorrow", not a time with a zone such as 2030-01-31T08:00:00Z'
  ],
  [
    ['--run-at', '2030-01-31T08:00:00'],
    'Cannot read --run-at: it is "2030-01-31T08:00:00", not a time with a zone such as 2030-01-31T08:00:00Z'
  ],
  [
    ['--run-at', '2030-02-30T08:00:00Z'],
    'Cannot read --run-at: it is "2030-02-30T08:00:00Z", a day that no calendar has'
  ],
  [
    ['{"n":12345678901234567890}'],
    'Cannot schedule Greet: the payload holds n: 12345678901234567890, which JavaScript reads as 12345678901234567000. Give it as text'
  ],
  [['--run-at', '2030-13-31T08:00:00Z'], 'Cannot read --run-at: it is an invalid date'],
  [['--priority', '1.5'], 'Cannot read --priority: "1.5" is not a whole number from -32768 to 32767'],
  [['--priority', '-32769'], 'Cannot read --priority: "-32769" is not a whole number from -32768 to 32767'],
  [['--priority', 'high'], 'Cannot read --priority: "high" is not a whole number from -32768 to 32767'],
  [['--max-attempts', '0'], 'Cannot read --max-attempts: "0" is not a whole number from 1 to 32767'],
  [['--key', 'k'.repeat(513)], 'Cannot read --key: it has 513 characters, more than 512'],
  [['--key='], 'Cannot read --key: it is empty'],
  [['--key-mode', 'replace'], 'Cannot read --key-mode: there is no --key'],
  [
    ['--key', 'a', '--key-mode', 'replce'],
    'Cannot read --key-mode: "replce" is none of replace, preserveRunAt, unsafeDedupe. Did you mean replace?'
  ],
  [['@'], 'Cannot read @: the name of the file is missing'],
  [['@nothing.json'], 'Cannot read nothing.json: there is no such file'],
  [['@tasks'], 'Cannot read tasks: it is a directory'],
  [['@latin1.json'], 'Cannot read latin1.json: it is not UTF-8'],
  [['@huge.json'], 'Cannot read huge.json: it has more than 16 MiB'],
  [['@half.json'], 'Cannot schedule Greet: half.json is not JSON: at character 11, expected a value, found the end'],
  [['@list.json'], 'Cannot schedule Greet: list.json is an array, not an object'],
  [['-'], 'Cannot schedule Greet: standard input is not JSON: at character 1, expected a value, found the end'],
  [
    ['{ "to": ["a\\u0000"] }'],
    'Cannot schedule Greet: payload.to[0] holds the character U+0000, which PostgreSQL cannot hold'
  ],
  [
    [`{ "a": "${'a'.repeat(2 ** 16)}", "b": "\\udc00" }`],
    'Cannot schedule Greet: payload.b holds half of a surrogate pair, which PostgreSQL cannot hold'
  ]
]

for (const [args, said] of refused) {
  test(`schedule Greet ${args.join(' ').slice(0, 60)} is refused in a line, with exit code 2`, async () => {
    const { code, stdout, stderr } = await run(['bg', 'schedule', 'Greet', ...args], { DATABASE_URL: NOBODY })
    assert.equal({ code, stdout, stderr }, { code: 2, stdout: '', stderr: `${said}\n` })
  })
}

test('an option that is not for repeating, given twice, is refused still', async () => {
  const { code, stderr } = await run(['bg', 'schedule', 'Greet', '--key', 'a', '--key', 'b'])
  assert.match(stderr, /^Cannot run kretes background schedule: --key is given more than once\n/)
  assert.is(code, 2)
})
