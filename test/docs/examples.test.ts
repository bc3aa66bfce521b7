import { globSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Example, examplesIn } from '../../scripts/check/examples.ts'
import { ensureBuild } from '../helpers/build.ts'
import { onceDone } from '../helpers/cleanup.ts'
import { createDatabase } from '../helpers/database.ts'
import { start } from '../helpers/process.ts'
import { assert, suite } from '../helpers/suite.ts'

const test = suite('the examples of README and docstrings')
const root = fileURLToPath(new URL('../..', import.meta.url))
const database = await createDatabase()
const { hostname, port, username, password, pathname } = new URL(database.url)
const environment = {
  DATABASE_URL: database.url,
  BILLING_DATABASE_URL: database.url,
  JOBS_DATABASE_URL: database.url,
  PGHOST: hostname,
  PGPORT: port,
  PGUSER: username,
  PGPASSWORD: password,
  PGDATABASE: pathname.slice(1)
}
await database.sql`create table users (email text)`
const project = await createProject()
const turns = createTurns(6)

for (const path of ['README.md', 'mod.ts', ...globSync('src/**/*.ts', { cwd: root }).sort()]) {
  const examples = examplesIn(path, await readFile(join(root, path), 'utf8'))
  for (const example of examples) {
    // All at once, since most of them linger until their idle connections close.
    const running = turns.take(() => runExample(example))
    running.catch(() => {})
    test(`${example.path}:${example.line} runs`, () => running)
  }
}

test('README.md: every query runs', async () => {
  await database.sql`select 1`
  const text = await readFile(join(root, 'README.md'), 'utf8')
  const queries = [...text.matchAll(/```sql\n(.*?)```/gs)].map(([, query]) => query ?? '')
  assert.ok(queries.length > 0)
  for (const query of queries) await database.sql.unsafe(query)
})

/** Runs it as a file of a user's project: in Deno if it imports as Deno does, else in Node. */
async function runExample({ line, path, text }: Example): Promise<void> {
  const file = `${path.replaceAll(/\W/g, '-')}-${line}.ts`
  // A task file by its own account goes where it says.
  const place = /^\/\/ (tasks\/\w+\.ts)$/m.exec(text)?.[1]
  await writeFile(join(project, place ?? file), text)
  const isDeno = text.includes("'npm:kretes'")
  const child = start(isDeno ? 'deno' : process.execPath, isDeno ? ['run', '-A', file] : [place ?? file], {
    cwd: project,
    env: environment
  })
  // A worker that runs until it is asked to stop says that it looks for jobs, and is asked.
  if (text.includes('process.once')) await child.output(/looking for jobs/).then(() => child.kill('SIGTERM'))
  const { code, stderr } = await child.exit
  assert.is(code, 0, stderr)
}

/** Lets so many pieces of work run at a time. */
function createTurns(most: number): { take<Result>(work: () => Promise<Result>): Promise<Result> } {
  const waiting: (() => void)[] = []
  let running = 0
  return {
    async take(work) {
      if (running >= most) await new Promise<void>(resolve => waiting.push(resolve))
      running++
      try {
        return await work()
      } finally {
        running--
        waiting.shift()?.()
      }
    }
  }
}

async function createProject(): Promise<string> {
  const problem = await ensureBuild()
  if (problem) throw new Error(problem)
  const directory = await mkdtemp(join(tmpdir(), 'kretes-examples-'))
  onceDone(() => rm(directory, { recursive: true, force: true }))
  await linkPackages(join(directory, 'node_modules'))
  await mkdir(join(directory, 'tasks'))
  await writeFile(join(directory, 'package.json'), JSON.stringify({ private: true, type: 'module' }))
  await writeFile(join(directory, 'deno.json'), JSON.stringify({ nodeModulesDir: 'manual' }))
  await writeFile(join(directory, 'tasks/SendEmail.ts'), 'export default async function SendEmail() {}\n')
  return directory
}

/** What a user has installed beside kretes: whatever this repository is tested with. */
async function linkPackages(directory: string): Promise<void> {
  const { dependencies, devDependencies } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8'))
  for (const name of Object.keys({ ...dependencies, ...devDependencies })) {
    await mkdir(dirname(join(directory, name)), { recursive: true })
    await symlink(join(root, 'node_modules', name), join(directory, name))
  }
  await symlink(root, join(directory, 'kretes'))
}
