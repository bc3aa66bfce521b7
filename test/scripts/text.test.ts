// biome-ignore-all lint/suspicious/noTemplateCurlyInString: these strings are programs
import { problemsOf } from '../../scripts/check/text.ts'
import { assert, suite } from '../helpers/suite.ts'

const test = suite('problemsOf()')

for (const [sentence, path, text, expected] of [
  ['SQL outside src/sql', 'src/job.ts', 'await sql`select 1`', ['src/job.ts:1 SQL stands only in src/sql']],
  [
    'SQL with values',
    'cli/a.ts',
    'sql<Row[]>`\n  insert into a values (${b})`',
    ['cli/a.ts:1 SQL stands only in src/sql']
  ],
  ['SQL as a string', 'src/a.ts', "client.query('delete from a')", ['src/a.ts:1 SQL stands only in src/sql']],
  ['no SQL in src/sql', 'src/sql/a.ts', 'await sql`select 1`', []],
  ['no other template', 'src/a.ts', 'const a = String.raw`a select`; const b = `select ${a}`', []],
  [
    'an exit',
    'cli/background.ts',
    '\nprocess.exit(1)',
    ['cli/background.ts:2 process.exit stands only in cli/main.ts']
  ],
  ['an exit code', 'src/a.ts', 'process.exitCode = 1', ['src/a.ts:1 process.exitCode stands only in cli/main.ts']],
  ['no exit where it belongs', 'cli/main.ts', 'process.exitCode = 1', []],
  ['the console in src', 'src/a.ts', "console.log('a')", ['src/a.ts:1 a library does not write to the console']],
  ['no console elsewhere', 'tasks/A.ts', "console.log('a')", []],
  ['nothing in a comment', 'src/a.ts', '// process.exit(1), sql`select 1`, console.log()\n', []],
  [
    'the engine outside of its room',
    'src/worker/a.ts',
    "events.on('localQueue:init')\n// as fail_job does, for _private_jobs",
    [
      "src/worker/a.ts:1 'localQueue:i is a word of the engine room, src/worker/engine",
      'src/worker/a.ts:2 fail_job is a word of the engine room, src/worker/engine'
    ]
  ],
  ['no engine in its room', 'src/worker/engine/a.ts', "events.on('localQueue:init')", []],
  ['a long file', 'cli/a.ts', '\n'.repeat(301), ['cli/a.ts has 301 lines, more than 300']],
  ['unfinished work', 'src/a.ts', `// ${'TO'}DO later`, ['src/a.ts:1 TODO does not belong in a commit']]
] as const) {
  test(`finds ${sentence}`, () => assert.equal(problemsOf(path, text), expected))
}
