import { existsSync } from 'node:fs'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createBackground } from '../src/background.ts'
import type { BackgroundClient } from '../src/client.ts'
import { BackgroundError } from '../src/errors.ts'
import { onceDone } from './helpers/cleanup.ts'
import { createDatabase } from './helpers/database.ts'
import { awaitedLock } from './helpers/locks.ts'
import { assert, suite } from './helpers/suite.ts'

const test = suite('a call for jobs that are there')

/** All calls but those that schedule and migrate. */
const calls: Record<string, (background: BackgroundClient) => Promise<unknown>> = {
  'list jobs': background => background.jobs(),
  'list runs': background => background.runs(),
  'look at a job': background => background.job('1'),
  'tell the status': background => background.status(),
  'explain a job': background => background.why('1'),
  'prune the ledger': background => background.prune({ dryRun: true }),
  'wait for a job': background => background.result('1'),
  'cancel a job': background => background.cancel('1'),
  'cancel jobs': background => background.cancel({ all: true }),
  'retry jobs': background => background.retry(['1']),
  'delete jobs': background => background.delete({ all: true }, { dryRun: true }),
  'run jobs': background => background.runNow({ all: true }),
  'unschedule a job': background => background.unschedule('1'),
  'reschedule a job': background => background.reschedule('1', { priority: 1 })
}

async function refusalOf(work: Promise<unknown>): Promise<BackgroundError> {
  const error = await work.then(
    () => assert.unreachable('it went well'),
    reason => reason
  )
  assert.instance(error, BackgroundError)
  return error
}

for (const [doing, call] of Object.entries(calls)) {
  test(`that is to ${doing} installs no schema, and says that there is none`, async () => {
    const { url, sql, name } = await createDatabase({ isEmpty: true })
    await using background = createBackground({ connection: url })
    const { code, message } = await refusalOf(call(background))
    assert.is(code, 'MIGRATION')
    assert.match(
      message,
      new RegExp(`^Cannot ${doing}: kretes is not installed in .*${name}\\. Run \`kretes background`)
    )
    const schemas = await sql`select nspname from pg_namespace where nspname in ('kretes', 'graphile_worker')`
    assert.is(schemas.length, 0)
  })
}

test('leaves a schema as it is that is out of date', async () => {
  const { url, sql } = await createDatabase()
  await using background = createBackground({ connection: url })
  await background.migrate()
  await sql`alter view kretes.jobs rename to hidden`
  const { code, message } = await refusalOf(background.jobs())
  assert.is(code, 'MIGRATION')
  assert.match(message, /^Cannot list jobs: the schema in .* is out of date/)
  assert.is((await sql`select to_regclass('kretes.jobs') as view`)[0]?.view, null)
})

test('waits for a migration that is under way', async () => {
  const { url, sql } = await createDatabase()
  await using background = createBackground({ connection: url })
  await background.migrate()
  const migration = await sql.reserve()
  await migration`select pg_advisory_lock(${0x6b726574}, ${0x6d696772})`
  await migration`alter view kretes.jobs rename to hidden`
  const listed = background.jobs()
  await awaitedLock(sql)
  await migration`alter view kretes.hidden rename to jobs`
  await migration`select pg_advisory_unlock_all()`
  migration.release()
  assert.equal((await listed).jobs, [])
})

test('creates no database of its own in a project without one', async () => {
  const project = await mkdtemp(join(tmpdir(), 'kretes-looking-'))
  onceDone(() => rm(project, { recursive: true }))
  await writeFile(join(project, 'package.json'), '{}')
  const before = process.cwd()
  process.chdir(project)
  onceDone(() => process.chdir(before))
  await using background = createBackground()
  for (const [doing, call] of [
    ...Object.entries(calls),
    ['examine the database', () => background.doctor()] as const
  ]) {
    const { code, message } = await refusalOf(call(background))
    assert.is(code, 'NO_DATABASE')
    assert.match(message, `Cannot ${doing}: there is no database in .kretes/ yet.`)
    assert.not(existsSync(join(project, '.kretes')))
  }
})
