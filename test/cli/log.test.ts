import { stripVTControlCharacters } from 'node:util'
import { createLogger, type LogFormat } from '../../cli/output/logger.ts'
import { fields } from '../../cli/terminal/fields.ts'
import type { LogFields, Logger } from '../../src/logger.ts'
import { assert, suite } from '../helpers/suite.ts'

const test = suite('log lines')

/** What one line reads like, without its time. */
function line(say: (logger: Logger) => void, format: LogFormat = 'pretty'): string {
  let written = ''
  say(createLogger({ level: 'info', format, style: (_format, text) => text, write: text => (written += text) }))
  return stripVTControlCharacters(written).replace(/^\d\d:\d\d:\d\d\.\d{3} /, '')
}

const job = { task: 'SendEmail', job: '12', attempt: 1, maxAttempts: 25 }

const cases: [name: string, fields: LogFields, reads: string][] = [
  ['a start', { event: 'job.started', ...job }, '› SendEmail 12  started'],
  ['a second start', { event: 'job.started', ...job, attempt: 2 }, '› SendEmail 12  started, attempt 2 of 25'],
  ['a moment', { event: 'job.succeeded', ...job, durationMs: 4.25 }, '✓ SendEmail 12  4.3 ms'],
  ['milliseconds', { event: 'job.succeeded', ...job, durationMs: 57.4 }, '✓ SendEmail 12  57 ms'],
  ['seconds', { event: 'job.succeeded', ...job, durationMs: 999.7 }, '✓ SendEmail 12  1 s'],
  ['minutes', { event: 'job.succeeded', ...job, durationMs: 125_100 }, '✓ SendEmail 12  2.1 min'],
  [
    'a late success',
    { event: 'job.succeeded', ...job, attempt: 3, durationMs: 57 },
    '✓ SendEmail 12  57 ms, attempt 3 of 25'
  ],
  [
    'an end',
    { event: 'job.failed', ...job, attempt: 25, isLast: true, durationMs: 57 },
    '✗ SendEmail 12  failed after 57 ms, attempt 25 of 25, not tried again'
  ],
  ['a snooze', { event: 'job.snoozed', ...job, delayMs: 3_600_000 }, '… SendEmail 12  snoozed for 1 h'],
  [
    'a snooze until a time',
    { event: 'job.snoozed', ...job, runAt: new Date('2030-01-31T08:00:00Z') },
    '… SendEmail 12  snoozed until 2030-01-31T08:00:00.000Z'
  ],
  [
    'a held limit',
    { event: 'job.snoozed', ...job, delayMs: 30_000, limit: 'limit stripe' },
    '… SendEmail 12  rate limited for 30 s'
  ],
  ['a name that objects have', { event: 'constructor' }, '· words'],
  [
    "a task's own words",
    { event: 'task.log', ...job, ...{ attempt: undefined, maxAttempts: undefined }, to: 'Ada', at: [1, 2] },
    '· SendEmail 12  words  attempt=undefined  maxAttempts=undefined  to=Ada  at=[ 1, 2 ]'
  ]
]

for (const [name, fields, reads] of cases) {
  test(`${name} reads ${reads.slice(0, 60)}`, () => {
    assert.is(
      line(logger => logger.info('words', fields)),
      reads
    )
  })
}

test('secrets are in no line', () => {
  const error = Object.assign(new Error('No postgres://ada:word@host'), { config: { headers: { cookie: 'word' } } })
  for (const format of ['pretty', 'json'] as const) {
    const fields = { event: 'task.log', ...job, token: 'word', nested: { apiKey: 'word' }, error }
    const written = line(logger => logger.error('password=word', fields), format)
    assert.not.match(written.replaceAll('password', ''), 'word')
    assert.match(written, /No postgres/)
  }
})

test('a message of several lines stays together', () => {
  assert.is(
    line(logger => logger.warn('one\ntwo')),
    '! one\n    two'
  )
})

test('what JSON cannot hold is no reason to lose a line', () => {
  const round: Record<string, unknown> = { big: 12n }
  round.self = round
  const written = JSON.parse(line(logger => logger.info('Turning', { round, level: 'mine' }), 'json'))
  assert.equal([written.level, written.message], ['info', 'Turning'])
  assert.match(written.fields, 'Circular')
  assert.is(JSON.parse(line(logger => logger.info('Counting', { big: 12n }), 'json')).big, '12')
})

test('values that are too long for their line go on below it', () => {
  const rows = [
    ['tasks', 'First, Second, Third, AVeryLongNameThatFitsNowhere'],
    ['concurrency', '10']
  ] as const
  const plain = (_format: unknown, text: string): string => text
  assert.is(
    fields(rows, plain, { indent: '  ', width: 35 }),
    `  tasks        First, Second,
               Third,
               AVeryLongNameThatFitsNowhere
  concurrency  10`
  )
})
