import { writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createDatabase } from '../helpers/database.ts'
import { assert, suite } from '../helpers/suite.ts'
import { createProgram, TASKS } from './program.ts'

const test = suite('kretes background cron import')
const { sql, url } = await createDatabase()
const { run, directory, shell } = await createProgram(TASKS, { DATABASE_URL: url })

test('sets what a crontab of graphile-worker says', async () => {
  const text = `# nightly
0 4 * * * send_report ?fill=1d&priority=3&queue=reports&max=2 {region: "eu"}

*/15 * * * * Clean ?id=often&jobKey=clean
`
  await writeFile(join(directory, 'crontab'), text)
  const dry = await run(['bg', 'cron', 'import', 'crontab', '--dry-run'])
  assert.is(dry.code, 0, dry.stderr)
  assert.match(dry.stdout, /^NAME .*\nSendReport +SendReport +at 04:00, UTC\noften +Clean +every 15 minutes, UTC\n$/)
  assert.is((await sql`select from kretes.schedules`).length, 0)
  const { code, stderr } = await shell('kretes bg cron import - < crontab')
  assert.is(code, 0, stderr)
  assert.match(stderr, /^line 2: the task send_report becomes SendReport$/m)
  assert.match(stderr, /^line 4: its job key is left out: recurring jobs have none$/m)
  assert.match(stderr, /^Set 2 recurring jobs$/m)
  const rows = await sql`
    select name, task, cron, time_zone, payload, queue, priority, max_attempts, most_missed, overlap
    from kretes.schedules order by name`
  const common = { time_zone: 'UTC', overlap: 'allow' }
  assert.equal(
    [...rows],
    [
      {
        name: 'SendReport',
        task: 'SendReport',
        cron: '0 4 * * *',
        ...common,
        payload: { region: 'eu' },
        queue: 'reports',
        priority: 3,
        max_attempts: 2,
        most_missed: 1_000
      },
      {
        name: 'often',
        task: 'Clean',
        cron: '*/15 * * * *',
        ...common,
        payload: {},
        queue: null,
        priority: 0,
        max_attempts: 25,
        most_missed: 0
      }
    ]
  )
})

test('reports every line that is wrong, and sets nothing', async () => {
  const text = `61 * * * * Clean
0 0 * * *
0 0 * * * Clean ?max=abc
0 1 * * * Other
0 2 * * * Other
0 3 * * * Clean {bad
0 4 * * * 1st`
  await writeFile(join(directory, 'wrong'), text)
  await sql`delete from kretes.recurring`
  const { code, stdout, stderr } = await run(['bg', 'cron', 'import', 'wrong'])
  assert.equal([code, stdout], [2, ''])
  const [title, ...lines] = stderr.trimEnd().split('\n')
  assert.is(title, 'Cannot import wrong: 6 problems')
  assert.equal(
    lines.map(line => line.replace(/: it takes .*/, '')),
    [
      '  line 1: cron is "61 * * * *", and its minute is "61"',
      '  line 2: it needs five fields of time and a task, as in: 0 9 * * * SendReport',
      "  line 3: Options contains invalid value for 'max', value 'abc' is not compatible with this option",
      '  line 5: its name is Other, as is that of line 4. Add an id, as in ?id=other',
      '  line 6: "Clean {bad" is no task with options and payload, as in: SendReport ?id=daily { region: "eu" }',
      '  line 7: "1st" is no task with options and payload, as in: SendReport ?id=daily { region: "eu" }'
    ]
  )
  assert.is((await sql`select from kretes.schedules`).length, 0)
})
