import { createDatabase } from '../helpers/database.ts'
import { assert, suite } from '../helpers/suite.ts'
import { createProgram, TASKS } from './program.ts'

const test = suite('kretes background cron')
const { sql, url } = await createDatabase()
const { run } = await createProgram(TASKS, { DATABASE_URL: url })

test('sets a recurring job and shows it in words, with its next occurrence', async () => {
  const cron = ['--cron', '0 9 * * 1-5', '--time-zone', 'Europe/Berlin']
  const set = await run(['bg', 'cron', 'set', 'morning', 'Greet', '{ "name": "Ada" }', ...cron])
  assert.is(set.code, 0, set.stderr)
  assert.match(
    set.stdout,
    /^Set\n {2}name {2}morning\n {2}task {2}Greet\n {2}when {2}at 09:00, Monday through Friday, Eur/
  )
  assert.match(set.stdout, /\n {2}next {2}\S+Z \(in .+\)\n$/)
  await run(['bg', 'cron', 'set', 'often', 'Greet', '--every', '15m', '--missed', '3'])
  const { code, stdout, stderr } = await run(['bg', 'cron'])
  assert.equal([code, stderr], [0, ''])
  const [title, first, second] = stdout.split('\n')
  assert.match(title!, /^NAME +TASK +WHEN +LAST +NEXT +STATE$/)
  assert.match(first!, /^morning +Greet +at 09:00, Monday through Friday, Europe\/Berlin +in \d+ (?:d|h|min)$/)
  assert.match(second!, /^often +Greet +every 15 minutes +in 1[45] min$/)
  const json = await run(['bg', 'cron', 'list', '--search', 'oft', '--json'])
  const [often] = JSON.parse(json.stdout).entries
  assert.equal([often.name, often.missed, often.overlap], ['often', { all: 3 }, 'queue'])
})

test('shows all properties of one', async () => {
  const { code, stdout } = await run(['bg', 'cron', 'show', 'morning'])
  assert.is(code, 0)
  assert.match(stdout, /^cron +0 9 \* \* 1-5$/m)
  assert.match(stdout, /\nPayload\n{\n {2}"name": "Ada"\n}\n\nNext\nEurope\/Berlin +UTC +CLOCKS\n(?:\d{4}.*\n){3}$/)
})

test('previews occurrences and marks the days on which clocks change', async () => {
  const options = ['--cron', '30 2 * * *', '--time-zone', 'Europe/Berlin', '--start', '2040-03-24T00:00:00Z']
  await run(['bg', 'cron', 'set', 'night', 'Greet', ...options])
  const { stdout } = await run(['bg', 'cron', 'preview', 'night', '-n', '2'])
  assert.match(
    stdout,
    /\n2040-03-24T02:30:00\+01:00 {2}2040-03-24T01:30:00Z\n2040-03-25T03:00:00\+02:00 .* clocks go forward\n$/
  )
})

test('pauses, resumes, runs and removes, and says what it did', async () => {
  const paused = await run(['bg', 'cron', 'pause', 'often'])
  assert.match(paused.stdout, /^Paused\n[\s\S]* next {2}none while it is paused\n$/)
  assert.match((await run(['bg', 'cron', '--search', 'often'])).stdout, / paused\n$/)
  assert.match((await run(['bg', 'cron', 'resume', 'often'])).stdout, /^Resumed\n[\s\S]* next {2}\S+Z \(in /)
  const job = await run(['bg', 'cron', 'run', 'often'])
  assert.match(job.stdout, /^Scheduled\n {2}job +\d+\n[\s\S]*\nNext occurrence: \S+Z \(in /)
  const reset = await run(['bg', 'cron', 'reset', 'often'])
  assert.equal([reset.code, reset.stderr], [1, 'Cannot reset the recurring job "often": no code declares it\n'])
  assert.match((await run(['bg', 'cron', 'remove', 'often'])).stdout, /^Removed\n {2}name {2}often\n/)
  const gone = await run(['bg', 'cron', 'pause', 'mornin'])
  assert.is(gone.code, 1)
  assert.match(gone.stderr, /^Cannot pause the recurring job "mornin": there is none. Did you mean morning\?\n$/)
})

test('has a help for the group and for each of its commands', async () => {
  const group = await run(['bg', 'cron', '--help'])
  assert.is(group.code, 0)
  assert.match(group.stdout, /\n {2}kretes background cron pause <name> {2}/)
  const set = await run(['bg', 'cron', 'set', '--help'])
  assert.match(set.stdout, /Usage:\n {2}\$ kretes background cron set <name> <task> \[payload\] \[options\]\n/)
})

for (const [args, message] of [
  [['pauze', 'x'], 'Cannot run pauze: there is no such command. Did you mean pause?'],
  [['set', 'x', 'Greet'], 'Cannot set x: it has no time. Give --cron or --every'],
  [['set', 'x', 'Greet', '--cron', '0 25 * * *'], 'Cannot read --cron: it is "0 25 * * *", and its hour is "25"'],
  [['set', 'x', 'Greet', '--cron', '0 0 31 2 *'], 'Cannot read --cron: it is "0 0 31 2 *", which matches no date'],
  [
    ['set', 'x', 'Greet', '--cron', '@daily', '--time-zone', 'Europe/Berln'],
    'Cannot read --time-zone: it is "Europe/Berln", no zone of the IANA database. Did you mean Europe/Berlin'
  ],
  [['set', 'x', 'Greet', '--every', 'soon'], 'Cannot read --every: "soon" is not a duration'],
  [['set', 'x', 'Greet', '--every', '5ms'], 'Cannot set the recurring job "x": every is 5 ms, less than a second'],
  [['set', 'x', 'Greet', '--every', '1h', '--missed', '0'], 'Cannot read --missed: "0" is not a whole number from 1'],
  [
    ['set', 'x', 'Greet', '--every', '1h', '--start', 'now'],
    'Cannot read --start: it is "now", not a time with a zone'
  ],
  [['set', 'x', 'Gret', '--every', '1h'], 'Cannot schedule Gret: no file in tasks has that name. Did you mean Greet?']
] as const) {
  test(`refuses ${JSON.stringify(args)} and stores nothing`, async () => {
    const { code, stdout, stderr } = await run(['bg', 'cron', ...args])
    assert.equal([code, stdout], [2, ''])
    assert.ok(stderr.startsWith(message), stderr)
    assert.equal([...(await sql`select name from kretes.schedules where name = 'x'`)], [])
  })
}
