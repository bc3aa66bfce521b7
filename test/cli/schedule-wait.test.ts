import { createDatabase } from '../helpers/database.ts'
import { assert, suite } from '../helpers/suite.ts'
import { createProgram } from './program.ts'

const test = suite('kretes background schedule --wait')
const { url } = await createDatabase()
const { start, run } = await createProgram(
  {
    'tasks/Double.ts': 'export default async function Double({ n }) { return { doubled: n * 2 } }',
    'tasks/Fail.ts': "export default async function Fail() { throw new RangeError('It broke') }"
  },
  { DATABASE_URL: url }
)

test('says that no worker is running, and goes on waiting for one', async () => {
  const waiting = start(['bg', 'schedule', 'Double', '{"n":1}', '--wait', '--json'])
  await waiting.output(/No worker is running\. Start one: kretes background/)
  await start(['bg']).output(/Ready for jobs/)
  const { code, stdout } = await waiting.exit
  assert.equal([code, stdout], [0, '{"doubled":2}\n'])
})

test('prints what the task returned', async () => {
  const asJson = await run(['bg', 'schedule', 'Double', '{"n":21}', '--wait', '--json'])
  assert.equal([asJson.code, asJson.stdout, asJson.stderr], [0, '{"doubled":42}\n', ''])
  const asText = await run(['bg', 'schedule', 'Double', '{"n":21}', '--wait'])
  assert.match(asText.stdout, /^Scheduled\n[\s\S]*\nSucceeded\n\{\n {2}"doubled": 42\n\}\n$/)
})

test("fails with the task's error", async () => {
  const { code, stderr } = await run(['bg', 'schedule', 'Fail', '--max-attempts', '1', '--wait'])
  assert.is(code, 1)
  assert.match(stderr, /has failed for good: RangeError: It broke/)
})

test('says after the timeout that the job goes on', async () => {
  const child = start(['bg', 'schedule', 'Double', '--in', '1h', '--wait', '--timeout', '3s'])
  const { code, stderr } = await child.exit
  assert.is(code, 1)
  assert.not.match(child.text, /Scheduled[\s\S]*Waiting for the database/)
  assert.match(stderr, /after 3000 ms it is not due yet\. The job continues/)
})

test('stops waiting at Ctrl-C, and says that the job goes on', async () => {
  const child = start(['bg', 'schedule', 'Double', '--in', '1h', '--wait'])
  await child.output(/Scheduled/)
  child.kill('SIGINT')
  const { code, stderr } = await child.exit
  assert.is(code, 130)
  assert.match(stderr, /No longer waiting: job \d+ continues/)
})

test('refuses --timeout without --wait, and --wait for many', async () => {
  assert.is((await run(['bg', 'schedule', 'Double', '--timeout', '1s'])).code, 2)
  assert.is((await run(['bg', 'schedule', 'Double', '--wait', '--lines', '-'])).code, 2)
})
