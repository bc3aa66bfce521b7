import { readFile } from 'node:fs/promises'
import type { BackgroundErrorCode, FindingCode, JobState, ReasonCode, RunState } from '../../mod.ts'
import { assert, suite } from '../helpers/suite.ts'

const test = suite('the guides')

/** A code that is added to a type without being added here does not compile. */
const ERRORS: Record<BackgroundErrorCode, true> = {
  CLOSED: true,
  CONFIGURATION: true,
  DATABASE_NEWER: true,
  DATABASE_UNAVAILABLE: true,
  EMBEDDED_DATABASE: true,
  INVALID_PAYLOAD: true,
  JOB_CANCELLED: true,
  JOB_FAILED: true,
  JOB_GONE: true,
  JOB_RUNNING: true,
  MIGRATION: true,
  NO_DATABASE: true,
  NO_LIMIT: true,
  NO_RECURRING_JOB: true,
  OUTCOME_UNKNOWN: true,
  RESULT_NOT_KEPT: true,
  TASKS: true,
  TIMEOUT: true
}

const REASONS: Record<ReasonCode, true> = {
  'backing-off': true,
  'behind-in-queue': true,
  'behind-others': true,
  cancelled: true,
  due: true,
  ended: true,
  failed: true,
  fetched: true,
  'foreign-worker': true,
  gone: true,
  'never-existed': true,
  'limit-reached': true,
  'rate-reached': true,
  'rate-limited': true,
  'newer-version': true,
  'next-occurrence': true,
  'no-worker': true,
  over: true,
  paused: true,
  'queue-held': true,
  'queue-not-taken': true,
  replaced: true,
  running: true,
  scheduled: true,
  skipped: true,
  snoozed: true,
  'unknown-task': true,
  'worker-lost': true,
  'workers-busy': true
}

const FINDINGS: Record<FindingCode, true> = {
  'autovacuum-off': true,
  bloat: true,
  'clock-skew': true,
  'failed-jobs': true,
  'failing-task': true,
  'ledger-retention': true,
  'ledger-size': true,
  listen: true,
  'limit-starves': true,
  'long-pause': true,
  'lost-slots': true,
  'lost-workers': true,
  'migrations-missing': true,
  'no-partition': true,
  'not-taken': true,
  'no-worker': true,
  'old-transaction': true,
  pooler: true,
  'postgres-version': true,
  'prepared-transaction': true,
  privileges: true,
  'read-only': true,
  'recurring-late': true,
  'recurring-unknown-task': true,
  'replication-slot': true,
  'schema-incomplete': true,
  'schema-newer': true,
  'search-path': true,
  'unknown-tasks': true,
  unreachable: true
}

const STATES: Record<JobState | RunState, true> = {
  cancelled: true,
  failed: true,
  lost: true,
  released: true,
  retrying: true,
  running: true,
  scheduled: true,
  snoozed: true,
  succeeded: true,
  'timed out': true,
  waiting: true
}

test('have a section with the remedy of every error code', async () => {
  const text = await read('errors')
  assert.equal(
    Object.keys(ERRORS).filter(code => !text.includes(`\n## ${code}\n`)),
    []
  )
})

for (const [sentence, codes] of [
  ['reason that why gives', REASONS],
  ['finding of doctor', FINDINGS],
  ['state of a job or a run', STATES]
] as const) {
  test(`have a row for every ${sentence}`, async () => {
    const text = await read('jobs')
    assert.equal(
      Object.keys(codes).filter(code => !text.includes(`\n| \`${code}\` |`)),
      []
    )
  })
}

function read(guide: string): Promise<string> {
  return readFile(new URL(`../../docs/${guide}.md`, import.meta.url), 'utf8')
}
