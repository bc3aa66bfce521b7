import { mkdir, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { createDatabase } from '../helpers/database.ts'
import { run } from '../helpers/process.ts'
import { assert, suite } from '../helpers/suite.ts'
import { createProject } from './project.ts'

const test = suite('an application and tasks that esbuild has minified')
const repository = fileURLToPath(new URL('../..', import.meta.url))
const esbuild = join(repository, 'node_modules/.bin/esbuild')
const { url, sql } = await createDatabase()
const env = { DATABASE_URL: url }

const cwd = await createProject({
  'package.json': '{ "type": "module" }',
  'src/tasks/GenerateInvoicePdf.ts': 'export default async function GenerateInvoicePdf() { console.log("made") }',
  'src/tasks/SendEmail.ts':
    "import { defineTask } from 'kretes'\nexport default defineTask({ name: 'SendEmail', run: async () => console.log('sent') })",
  'src/app.ts': `
    import { Background } from 'kretes'
    import GenerateInvoicePdf from './tasks/GenerateInvoicePdf.ts'
    import SendEmail from './tasks/SendEmail.ts'
    for (const task of [SendEmail, GenerateInvoicePdf]) {
      await Background.schedule({ task }).then(job => console.log(job.task), error => console.log(error.message))
    }
    await Background.schedule({ task: 'GenerateInvoicePdf' })
    await Background.close()`
})
await mkdir(join(cwd, 'node_modules'))
await symlink(repository, join(cwd, 'node_modules/kretes'), 'dir')

async function bundle(...args: string[]): Promise<void> {
  const { code, stderr } = await run(esbuild, [...args, '--bundle', '--minify', '--platform=node', '--format=esm'], {
    cwd
  })
  assert.is(code, 0, stderr)
}

test('refuse a name that the minifier has made, and run the jobs of the others', async () => {
  await bundle('src/app.ts', '--outfile=app.js', '--external:kretes')
  await bundle('src/tasks/GenerateInvoicePdf.ts', 'src/tasks/SendEmail.ts', '--outdir=tasks', '--external:kretes')
  const app = await run(process.execPath, ['app.js'], { cwd, env })
  assert.is(app.code, 0, app.stderr)
  const [defined, refused] = app.stdout.split('\n')
  assert.is(defined, 'SendEmail')
  assert.match(
    refused ?? '',
    /^Cannot schedule a task: .+\. Name the task by hand, with defineTask\({ name, run }\), or /
  )
  const worker = await run(process.execPath, [join(repository, 'dist/cli.js'), 'bg', '--once'], { cwd, env })
  assert.is(worker.code, 0, worker.stderr)
  assert.match(worker.stdout, 'made')
  assert.match(worker.stdout, 'sent')
  assert.equal([...(await sql`select from graphile_worker.jobs`)], [])
})
