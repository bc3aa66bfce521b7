import { assert, suite } from '../helpers/suite.ts'
import { createProgram, NOBODY, TASKS } from './program.ts'

const test = suite('misuse of the command line')
const { run, shell } = await createProgram(TASKS, { DATABASE_URL: NOBODY })

const WORKER = 'Usage: kretes background [options]'
const SCHEDULE = 'Usage: kretes background schedule <task> [payload] [options]'
const NEAR = 'Did you mean SendEmail? Add --force to schedule it all the same'
const notJson = (place: string): string => `Cannot schedule Greet: the payload is not JSON: at character ${place}`

const cases: [args: string[], said: string[]][] = [
  [['bgg'], ['Cannot run bgg: there is no such command. Did you mean bg?']],
  [['help'], ['Cannot run help: there is no such command. Did you mean kretes --help or kretes background --help?']],
  [['jobs'], ['Cannot run jobs: there is no such command. Did you mean kretes background jobs?']],
  [['scheduel'], ['Cannot run scheduel: there is no such command. Did you mean kretes background schedule?']],
  [['bg', 'help'], ['Cannot run help: there is no such command. Did you mean kretes background --help?']],
  [['serve'], ['Cannot run serve: there is no such command. Try kretes --help']],
  [['--watch'], ['Cannot run kretes: there is no option --watch. Try kretes --help']],
  [['-x', 'bg'], ['Cannot run kretes: there is no option -x. Try kretes --help']],
  [['bg', 'schedul'], ['Cannot run schedul: there is no such command. Did you mean schedule?']],
  [['bg', 'serve'], ['Cannot run serve: there is no such command. Try kretes background --help']],
  [['bg', '--', 'serve'], ['Cannot run serve: there is no such command. Try kretes background --help']],
  [['bg', '--once', 'tasks'], ['Cannot run tasks: it comes first, as in: kretes background tasks']],
  [
    ['bg', '-x'],
    ['Cannot run kretes background: there is no option -x', WORKER]
  ],
  [
    ['bg', '--concurency', '4'],
    ['Cannot run kretes background: there is no option --concurency. Did you mean --concurrency?', WORKER]
  ],
  [
    ['bg', '--payload', '{}'],
    ['Cannot run kretes background: there is no option --payload', WORKER]
  ],
  [
    ['bg', '--no-once'],
    ['Cannot run kretes background: there is no option --no-once', WORKER]
  ],
  [
    ['bg', '--once=false'],
    ['Cannot run kretes background: --once takes no value', WORKER]
  ],
  [['bg', '--once', 'false'], ['Cannot run false: there is no such command. Did you mean pause?']],
  [
    ['bg', '--tasks.x', 'jobs'],
    ['Cannot run kretes background: there is no option --tasks.x. Did you mean --tasks?', WORKER]
  ],
  [
    ['bg', '--__proto__', '1'],
    ['Cannot run kretes background: there is no option --__proto__', WORKER]
  ],
  [
    ['bg', '--tasks', 'a', '--tasks', 'b'],
    ['Cannot run kretes background: --tasks is given more than once', WORKER]
  ],
  [
    ['bg', '--tasks'],
    ['Cannot run kretes background: --tasks has no value', WORKER]
  ],
  [
    ['bg', '--tasks', '--once'],
    ['Cannot run kretes background: --tasks has no value', WORKER]
  ],
  [['bg', '--tasks='], ['Cannot read --tasks: it is empty']],
  [['bg', '--concurrency', '0'], ['Cannot read --concurrency: "0" is not a whole number from 1 to 10000']],
  [['bg', '--concurrency', '-1'], ['Cannot read --concurrency: "-1" is not a whole number from 1 to 10000']],
  [['bg', '--concurrency=1.5'], ['Cannot read --concurrency: "1.5" is not a whole number from 1 to 10000']],
  [['bg', '--concurrency=1e9'], ['Cannot read --concurrency: "1e9" is not a whole number from 1 to 10000']],
  [['bg', '--concurrency', 'many'], ['Cannot read --concurrency: "many" is not a whole number from 1 to 10000']],
  [
    ['bg', '--shutdown-timeout', ' '],
    ['Cannot read --shutdown-timeout: " " is not a duration such as 90s, 5m or 1h30m']
  ],
  [
    ['bg', '--shutdown-timeout', '1e9'],
    ['Cannot read --shutdown-timeout: "1e9" is not a duration such as 90s, 5m or 1h30m']
  ],
  [['bg', '--log-level', 'loud'], ['Cannot read --log-level: "loud" is none of debug, info, warn, error, silent']],
  [['bg', '--log-format=jsn'], ['Cannot read --log-format: "jsn" is none of pretty, json. Did you mean json?']],
  [
    ['bg', 'tasks', '--log-level', 'inf'],
    ['Cannot read --log-level: "inf" is none of debug, info, warn, error, silent. Did you mean info?']
  ],
  [
    ['bg', '--database-url', 'localhost'],
    ['Cannot use --database-url: it is not a URL such as postgres://user@host/database']
  ],
  [
    ['bg', 'migrate', '--database-url', 'mysql://a:secret@b/c'],
    ['Cannot use --database-url: its scheme is mysql, not postgres']
  ],
  [
    ['bg', 'migrate', 'now'],
    ['Cannot run kretes background migrate: now is one argument too many', 'Usage: kretes background migrate [options]']
  ],
  [
    ['bg', 'db'],
    ['Cannot run kretes background db: the action is missing', 'Usage: kretes background db <action> [options]']
  ],
  [['bg', 'db', 'sotp'], ['Cannot run db sotp: it is none of start, status, stop, url. Did you mean stop?']],
  [
    ['bg', 'schedule'],
    ['Cannot run kretes background schedule: the task is missing', SCHEDULE]
  ],
  [
    ['bg', 'schedule', 'Greet', '{}', '{}'],
    ['Cannot run kretes background schedule: {} is one argument too many', SCHEDULE]
  ],
  [['bg', 'schedule', 'SendMail'], [`Cannot schedule SendMail: no file in tasks has that name. ${NEAR}`]],
  [['bg', 'schedule', '--', 'SendMail'], [`Cannot schedule SendMail: no file in tasks has that name. ${NEAR}`]],
  [
    ['bg', 'schedule', 'Unheard'],
    ['Cannot schedule Unheard: no file in tasks has that name. Add --force to schedule it all the same']
  ],
  [
    ['bg', 'schedule', 'Greet', '--tasks', 'jobs'],
    ['Cannot schedule Greet: there is no directory jobs. Add --force to schedule it all the same']
  ],
  [
    ['bg', 'schedule', 'sendEmail'],
    [
      'Cannot schedule a task: its name "sendEmail" is not in CamelCase with a capital first letter. Did you mean SendEmail?'
    ]
  ],
  [
    ['bg', 'schedule', '007', '--force'],
    ['Cannot schedule a task: its name "007" is not in CamelCase with a capital first letter']
  ],
  [['bg', 'schedule', 'Greet', '{ name: 1 }'], [notJson('3, expected a name in double quotes, found name: 1 }')]],
  [['bg', 'schedule', 'Greet', '{"name":"Ada"'], [notJson('14, expected "," or "}", found the end')]],
  [['bg', 'schedule', 'Greet', ''], [notJson('1, expected a value, found the end')]],
  [['bg', 'schedule', 'Greet', '[1]'], ['Cannot schedule Greet: the payload is an array, not an object']],
  [['bg', 'schedule', 'Greet', 'null'], ['Cannot schedule Greet: the payload is null, not an object']],
  [['bg', 'schedule', 'Greet', '42'], ['Cannot schedule Greet: the payload is a number, not an object']],
  [['bg', 'schedule', 'Greet', '--queue', ''], ['Cannot read --queue: it is empty']],
  [
    ['bg', 'schedule', 'Greet', '--queue', 'q'.repeat(129)],
    ['Cannot read --queue: the name has 129 characters, more than 128']
  ]
]

for (const [args, said] of cases) {
  const line = args.map(arg => (/^[\w./:=-]+$/.test(arg) ? arg : `'${arg}'`)).join(' ')
  test(`kretes ${line.slice(0, 80)} is refused in a line, with exit code 2`, async () => {
    const { code, stdout, stderr } = await run(args)
    assert.equal({ code, stdout, stderr }, { code: 2, stdout: '', stderr: `${said.join('\n')}\n` })
  })
}

test('ks speaks of itself as ks', async () => {
  const { code, stderr } = await shell('ks bg --nonsense')
  assert.is(stderr, 'Cannot run ks background: there is no option --nonsense\nUsage: ks background [options]\n')
  assert.is(code, 2)
})
