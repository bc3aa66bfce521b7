import { type BackgroundError, createBackground, type Task } from '../../mod.ts'
import { silentLogger } from '../../src/logger.ts'
import type { LiveNews } from '../../src/sql/ledger/live.ts'
import { ActiveRun } from '../../src/worker/execution/active-run.ts'
import { createProgressReporter } from '../../src/worker/execution/progress.ts'
import { onceDone } from '../helpers/cleanup.ts'
import { createDatabase, type TestDatabase } from '../helpers/database.ts'
import { assert, suite } from '../helpers/suite.ts'
import { until } from '../helpers/until.ts'
import { createRecorder, work } from './work.ts'

const test = suite('an end that the database refuses')
const encodings = suite('a database that is not in UTF-8')

const CALLS = 20
const tasks: Record<string, Task> = {
  Fine: () => 'fine',
  Broken: () => {
    throw new Error('broken')
  },
  Unfit: () => 'unfit',
  Unrecordable: () => 'never',
  UnfitError: () => {
    throw new Error('unfit')
  }
}

for (const ledger of [{}, false] as const) {
  test(`holds up no other job${ledger ? '' : ', without a ledger too'}`, async () => {
    const database = await createDatabase()
    const { sql, url } = database
    const background = createBackground({ connection: url })
    onceDone(() => background.close())
    await background.migrate()
    await sql`
      create function refuse() returns trigger language plpgsql as
      $$ begin raise exception 'refused' using errcode = '22003'; end $$`
    await sql`
      create trigger refuse before insert on kretes.ledger for each row
      when (new.result #>> '{}' = 'unfit' or new.task = 'Unrecordable' or new.error ->> 'message' = 'unfit')
      execute function refuse()`
    await sql`
      create trigger refuse before update on graphile_worker._private_jobs for each row
      when (new.last_error like 'Error: unfit%') execute function refuse()`
    const names = Object.keys(tasks)
    const jobs = await background.scheduleMany(
      Array.from({ length: CALLS }, (_, index) => ({ task: names[index % names.length] ?? '', maxAttempts: 1 })),
      { returning: true }
    )
    const log = createRecorder()
    await using _worker = await work(database, { tasks, ledger, logger: log, concurrency: CALLS })
    const left = await until(async () => {
      const rows = await sql`
        select task_identifier as task, last_error as error from graphile_worker.jobs
        where attempts = max_attempts and locked_at is null order by id`
      const [{ count } = { count: 0 }] = await sql<{ count: number }[]>`select count(*)::int from graphile_worker.jobs`
      return rows.length === count && count === (CALLS / names.length) * 2 && rows
    })
    for (const { task, error } of left || []) {
      if (task === 'Broken') assert.match(error, /^Error: broken/)
      else assert.match(error, /^The error was not kept: its details could not be stored: .*refused/)
    }
    assert.is(log.of('worker.blocked').length, 0)
    if (!ledger) return
    const problems =
      await sql`select distinct task, state, result_problem, error_message from kretes.runs order by task`
    assert.equal(
      problems.map(({ task, state }) => [task, state]),
      [
        ['Broken', 'failed'],
        ['Fine', 'succeeded'],
        ['Unfit', 'succeeded'],
        ['UnfitError', 'failed']
      ]
    )
    assert.match(problems[3]?.error_message, /^The error was not kept: its details could not be stored: /)
    const unfit = jobs.find(({ task }) => task === 'Unfit')
    const error = await unfit?.result({ timeout: '10s' }).catch((error: Error) => error)
    assert.match((error as Error).message, /its result is not kept: its details could not be stored: .*refused/)
  })
}

test('of what a run tells hides nothing of the others', async () => {
  const shown: string[] = []
  const runs = ['1', '2', '3', '4', '5'].map(id => new ActiveRun({ id, attempts: 1 } as never, silentLogger))
  for (const run of runs) run.progress(1e-60)
  const show = async ({ changed }: LiveNews): Promise<void> => {
    if (changed.some(({ id }) => id === '3')) throw Object.assign(new Error('out of range'), { code: '22003' })
    for (const { id, progress } of changed) shown.push(`${id} ${progress}`)
  }
  const live = createProgressReporter({ runs, show, logger: silentLogger })
  live.stop()
  await until(() => shown.length === 4)
  assert.equal(shown, ['1 0', '2 0', '4 0', '5 0'])
})

async function createEncoded(encoding: string): Promise<TestDatabase> {
  const { sql, url, name } = await createDatabase()
  const encoded = `${name}_${encoding.toLowerCase()}`
  await sql.unsafe(`create database ${encoded} encoding '${encoding}' lc_collate 'C' lc_ctype 'C' template template0`)
  const own = new URL(url)
  own.pathname = `/${encoded}`
  const { default: postgres } = await import('postgres')
  const client = postgres(own.href, { max: 2, onnotice: () => {} })
  const drop = async (): Promise<void> => {
    await client.end({ timeout: 1 })
    await sql.unsafe(`drop database if exists ${encoded} with (force)`)
  }
  onceDone(drop)
  return { url: own.href, name: encoded, sql: client, drop }
}

const TEXT = 'é €\u{1F600} …'
const READ: Record<string, string> = {
  LATIN1: 'é \\u20ac\\ud83d\\ude00 ...',
  LATIN2: '\\u00e9 \\u20ac\\ud83d\\ude00 ...',
  SQL_ASCII: TEXT
}
for (const [encoding, text] of Object.entries(READ)) {
  encodings(`takes what tasks throw, return and tell: ${encoding}`, async () => {
    const database = await createEncoded(encoding)
    const background = createBackground({ connection: database.url })
    onceDone(() => background.close())
    const log = createRecorder()
    const go = Promise.withResolvers<void>()
    const own: Record<string, Task> = {
      Throwing: () => {
        throw new Error(TEXT, { cause: new Error('x'.repeat(10_000)) })
      },
      Returning: async (_input, { log, progress }) => {
        log(TEXT, { [TEXT]: TEXT })
        progress(0.5, TEXT)
        await go.promise
        return { [TEXT]: TEXT }
      }
    }
    await using _worker = await work(database, { tasks: own, logger: log })
    const throwing = await background.schedule({ task: 'Throwing', maxAttempts: 1 })
    const failed = (await throwing.result({ timeout: '20s' }).catch(error => error)) as BackgroundError
    assert.equal([failed.code, (failed.cause as Error).message], ['JOB_FAILED', text])
    const returning = await background.schedule({ task: 'Returning' })
    const shown = await until(async () => {
      const job = await background.job(returning)
      return job?.log ? job : undefined
    })
    assert.is(shown?.progressMessage, text)
    go.resolve()
    assert.equal(await returning.result({ timeout: '20s' }), { [TEXT]: TEXT })
    const [run] = (await background.job(returning))?.runs ?? []
    assert.is(((run?.log ?? []) as { message: string }[])[0]?.message, TEXT)
    assert.ok((await database.sql`select error_message from kretes.runs`).length === 2)
    assert.equal([log.of('worker.blocked').length, log.of('ledger.stripped').length], [0, 0])
    // A call that cannot be stored fails, and takes no other with it.
    const calls = [TEXT, 'plain', TEXT, 'plain'].map(name => background.schedule({ task: 'Other', payload: { name } }))
    const settled = await Promise.allSettled(calls)
    const lossy = encoding === 'SQL_ASCII' ? 'fulfilled' : 'rejected'
    assert.equal(
      settled.map(({ status }) => status),
      [lossy, 'fulfilled', lossy, 'fulfilled']
    )
    const [first] = settled
    if (first?.status === 'rejected') {
      assert.match(
        first.reason.message,
        /^Cannot schedule Other: the encoding of \S+ has no place for one of its characters/
      )
    }
  })
}
