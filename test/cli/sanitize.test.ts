import { stripVTControlCharacters } from 'node:util'
import { oneLine, paint, printable, sanitize } from '../../cli/terminal/sanitize.ts'
import { createDatabase } from '../helpers/database.ts'
import { assert, suite } from '../helpers/suite.ts'
import { openTerminal } from '../helpers/terminal.ts'
import { insertRuns } from '../ledger/rows.ts'
import { createProgram } from './program.ts'

const text = suite('a text that is printed')
const test = suite('what strangers have written')

/** Sets a terminal's title, empties the screen, turns the direction of writing, hides, and comes in two more lines. */
const EVIL = 'a\u001b]0;owned\u0007\u001b[2J\u009b31m\u007f\u202eb\u200bc\u2066d\rGONE\nFORGED'
/** Everything but the escapes with which a program draws on a terminal. */
// biome-ignore lint/suspicious/noControlCharactersInRegex: these are what it looks for
const OBEYED = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u00ad\u061c\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufeff]/

for (const [name, given, reads] of [
  ['an escape', 'a\u001b[2Jb', 'a\\u001b[2Jb'],
  ['a control beyond ASCII', 'a\u009b31mb', 'a\\u009b31mb'],
  ['a delete', 'a\u007fb', 'a\\u007fb'],
  ['a turn of direction', 'a\u202eb\u2067c', 'a\\u202eb\\u2067c'],
  ['what has no width', 'a\u200bb\u2060c\ufeffd\u00ade', 'a\\u200bb\\u2060c\\ufeffd\\u00ade'],
  ['a joiner without a use', 'a\u200db', 'a\\u200db'],
  ['a letter that nobody sees', 'a\u{e0041}b', 'a\\udb40\\udc41b'],
  ['half a character', 'a\ud800b', 'a\\ud800b'],
  ['a line of another kind', 'a\u2028b', 'a\\u2028b'],
  ['lines and tabs', 'a\r\nb\rc\td', 'a\nb\nc  d'],
  ['emoji of several', '👨‍👩‍👧 ❤️ 1️⃣ 👩🏽‍🚀', '👨‍👩‍👧 ❤️ 1️⃣ 👩🏽‍🚀'],
  ['Persian and Hindi', 'می‌خواهم क्‍ष', 'می‌خواهم क्‍ष'],
  ['wide letters', '日本語 é', '日本語 é']
] as const) {
  text(`shows ${name} so that it can do nothing`, () => assert.is(sanitize(given), reads))
}

text('stays the same value where it is JSON', () => {
  const value = { [EVIL]: [EVIL, 'a\ud800', '\u{e0041}', '日本語'] }
  const written = printable(JSON.stringify(value))
  assert.not.match(written, OBEYED)
  assert.equal(JSON.parse(written), JSON.parse(JSON.stringify(value)))
})

text('has the colours of the program, and none of its own', () => {
  assert.is(printable(paint('red', 'a\u001b[32mb')), '\u001b[31ma\\u001b[32mb\u001b[39m')
  assert.is(oneLine(' a\n\n b\u2028c '), 'a b c')
})

const { url, sql } = await createDatabase()
const program = await createProgram(
  {
    'tasks/Evil.ts': `
      export default async function Evil({ text, fails }, { logger, progress }) {
        progress(0.5, text)
        logger.info(text, { [text]: text })
        if (fails) throw Object.assign(new Error(text, { cause: new Error(text) }), { name: 'Error' + text, own: text })
        return { [text]: text }
      }`
  },
  { DATABASE_URL: url, KRETES_TERMINAL: '1' }
)
await program.run(['bg', 'migrate'])
const { args: commands, ids } = await prepare()

for (const args of commands) {
  test(`reaches no pipe: kretes ${args.map(arg => (arg === EVIL ? '…' : arg)).join(' ')}`, async () => {
    const { stdout, stderr } = await program.run(args)
    assert.not.match(stdout, OBEYED)
    assert.not.match(stderr, OBEYED)
    assert.not.match(stdout, /^(?:GONE|FORGED)/m)
    if (stdout !== '' && args.includes('--json')) JSON.parse(stdout)
  })
}

for (const args of [['show', ids.failed], ['jobs'], ['why', ids.held], ['logs', ids.failed], ['--once']]) {
  test(`reaches no terminal: kretes bg ${args[0]}`, async () => {
    const env = { DATABASE_URL: url, NO_COLOR: undefined, FORCE_COLOR: undefined }
    const kretes = `${program.directory}/node_modules/.bin/kretes`
    await addEvil(true)
    const terminal = openTerminal(process.execPath, [kretes, 'bg', ...args], { cwd: program.directory, env })
    await terminal.exit
    assert.not.match(stripVTControlCharacters(terminal.text.replaceAll('\r\n', '\n')), OBEYED)
    // What sets text off is the program's own.
    for (const sequence of ['\u001b]0;', '\u001b[2J', '\u009b']) assert.not.ok(terminal.text.includes(sequence))
    assert.match(terminal.text, /a\\u001b/)
  })
}

test('reaches no log of a worker', async () => {
  for (const format of ['pretty', 'json']) {
    await addEvil(true)
    await addEvil(false)
    const { stdout, stderr } = await program.run(['bg', '--once', '--log-format', format, '--log-level', 'debug'])
    assert.not.match(stdout + stderr, OBEYED)
    assert.match(stdout, /owned\\u0007/)
    assert.not.match(stdout, /^(?:GONE|FORGED)/m)
  }
})

test('reaches nobody who waits for a result, or for the screen of status', async () => {
  for (const fails of [true, false]) {
    const payload = JSON.stringify({ text: EVIL, fails })
    const waiting = program.start(['bg', 'schedule', 'Evil', payload, '--wait', '--max-attempts', '1'])
    await waiting.output(/runs at/)
    await program.run(['bg', '--once'])
    const { stdout, stderr } = await waiting.exit
    assert.not.match(stdout + stderr, OBEYED)
    assert.match(stdout + stderr, /owned\\u0007/)
  }
  const watching = program.start(['bg', 'status', '--watch'])
  await watching.output(/owned/)
  watching.kill()
  assert.not.match((await watching.exit).stdout, OBEYED)
})

async function addEvil(fails: boolean): Promise<string> {
  const payload = JSON.stringify({ text: EVIL, fails })
  const [job] = await sql`
    select id from graphile_worker.add_job('Evil', ${payload}::text::json, max_attempts := 1)`
  return job!.id
}

/** A database that is full of it, and all that can be asked of it. */
async function prepare(): Promise<{ args: string[][]; ids: { failed: string; held: string } }> {
  const failed = await addEvil(true)
  await program.run(['bg', '--once'])
  const [held] = await sql`
    select id from graphile_worker.add_job(${EVIL}, ${JSON.stringify({ [EVIL]: EVIL })}::text::json,
      queue_name := ${EVIL}, job_key := ${EVIL}, flags := array[${EVIL}])`
  await sql`
    insert into kretes.workers (id, host, pid, concurrency, tasks, beat_at)
    values (${`lost ${EVIL}`}, ${EVIL}, 1, 1, array[${EVIL}], now() - interval '1 day'),
      (${EVIL}, ${EVIL}, 1, 1, array['Other'], now() + interval '1 hour')`
  await sql`update graphile_worker._private_jobs set locked_at = now(), locked_by = ${EVIL} where id = ${held!.id}`
  await sql`update graphile_worker._private_job_queues set locked_at = now(), locked_by = ${EVIL}`
  await sql`insert into kretes.progress (job_id, attempt, progress, message, log, updated_at)
    values (${held!.id}, 1, 0.5, ${EVIL}, ${JSON.stringify([{ message: EVIL, level: EVIL, at: EVIL, fields: { [EVIL]: EVIL } }])}::text::json, now())`
  await sql`update kretes.workers set running = array[${held!.id}::bigint] where id = ${EVIL}`
  const waiting = await addEvil(true)
  await insertRuns(sql, [
    {
      job: 700_001,
      task: EVIL,
      queue: EVIL,
      key: EVIL,
      worker: EVIL,
      state: 'failed',
      error: { name: EVIL, message: EVIL, stack: EVIL, cause: { name: EVIL, message: EVIL } }
    },
    { job: 700_002, task: EVIL, worker: EVIL, result: { [EVIL]: EVIL }, payload: { [EVIL]: EVIL } }
  ])
  const jobs = [failed, held!.id, waiting, '700001', '700002']
  const looks = [
    ...['jobs', 'runs', 'status', 'doctor'].map(command => [command]),
    ...jobs.flatMap(job => ['show', 'why', 'logs'].map(command => [command, job])),
    ['why', EVIL],
    ['show', EVIL],
    ['retry', EVIL],
    ['cancel', `${EVIL} 2`],
    ['tasks', '--tasks', EVIL],
    ['schedule', EVIL],
    ['schedule', 'Evil', '{}', '--queue', EVIL, '--key', EVIL, '--flag', EVIL],
    ['schedule', 'Evil', EVIL],
    ['reschedule', EVIL, '--in', '1h']
  ]
  return {
    args: looks.flatMap(args => [
      ['bg', ...args],
      ['bg', ...args, '--json']
    ]),
    ids: { failed, held: held!.id }
  }
}
