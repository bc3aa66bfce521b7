import { readFile, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { examplesIn } from '../../scripts/check/examples.ts'
import { createProgram } from '../cli/program.ts'
import { createDatabase } from '../helpers/database.ts'
import { assert, suite } from '../helpers/suite.ts'

const test = suite('the terminal session of README')
const root = fileURLToPath(new URL('../..', import.meta.url))
const readme = await readFile(join(root, 'README.md'), 'utf8')
const [worker = '', schedule = ''] = [...readme.matchAll(/```\n\$ npx kretes (.*?)```/gs)].map(([, text]) => text)
const task = examplesIn('README.md', readme).find(({ text }) => text.startsWith('// tasks/SendEmail.ts'))

test('is printed by the task, the worker and the command that it shows', async () => {
  assert.ok(worker && schedule && task)
  const { url } = await createDatabase()
  const program = await createProgram({ 'tasks/SendEmail.ts': task.text }, { DATABASE_URL: url })
  await symlink(join(root, 'node_modules/zod'), join(program.directory, 'node_modules/zod'), 'dir')
  const running = program.start(['bg'])
  await running.output(/Ready for jobs/)
  const scheduled = await program.shell(`kretes ${commandOf(schedule)}`)
  assert.is(scheduled.code, 0, scheduled.stderr)
  running.kill('SIGTERM')
  const { stdout } = await running.exit
  assert.equal(missingFrom(stdout, worker), [])
  assert.equal(missingFrom(scheduled.stdout, schedule), [])
})

function commandOf(shown: string): string {
  return shown.slice(0, shown.indexOf('\n'))
}

/** The lines below a shown command that were not printed, whatever their times and places. */
function missingFrom(printed: string, shown: string): string[] {
  const lines = new Set(masked(printed))
  return masked(shown.slice(shown.indexOf('\n') + 1)).filter(line => !lines.has(line))
}

function masked(text: string): string[] {
  return text
    .replaceAll(/^( *database +).*/gm, '$1…')
    .replaceAll(/\d{4}-\d\d-\d\dT[\d:.]+Z/g, '…')
    .replaceAll(/\d\d:\d\d:\d\d\.\d{3}/g, '…')
    .replaceAll(/\d+(?:\.\d+)? ms/g, '…')
    .replaceAll(/\d+\.\d+\.\d+\S*/g, '…')
    .split('\n')
    .map(line => line.trimEnd())
}
