import { globSync } from 'node:fs'
import { mkdir, mkdtemp, readFile, rm, symlink, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { type Example, examplesIn } from '../../scripts/check/examples.ts'
import { findGuides } from '../../scripts/check/links.ts'
import { createBackground } from '../../src/background.ts'
import { ensureBuild } from '../helpers/build.ts'
import { onceDone } from '../helpers/cleanup.ts'
import { createDatabase } from '../helpers/database.ts'
import { generatePrismaClient } from '../helpers/prisma.ts'
import { start } from '../helpers/process.ts'
import { runtimes } from '../helpers/runtimes.ts'
import { assert, suite } from '../helpers/suite.ts'

const test = suite('the examples of README, guides and docstrings')
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
const paths = [...findGuides(root), 'mod.ts', ...globSync('src/**/*.ts', { cwd: root }).sort()]
// A block marked as JavaScript runs, too: its types come from a generated client or from another runtime.
const examples = (await Promise.all(paths.map(path => blocksOf(path, 'ts|typescript|js')))).flat()
const project = await createProject()
await using background = createBackground({ connection: database.url })
await background.migrate()
// Examples change limits that a worker has registered.
await database.sql`
  insert into kretes.declared_limits (name, concurrency, is_keyed)
  values ('limit stripe', 20, false), ('task SendEmail', 10, false)`
await database.sql`
  insert into kretes.definitions (name, definition)
  values ('ChargeCard', '{ "limits": ["limit stripe", "task SendEmail"] }')`
const turns = createTurns(4)

for (const example of examples) {
  const running = turns.take(() => runExample(example))
  running.catch(() => {})
  test(`${example.path}:${example.line} runs`, () => running)
}

for (const path of findGuides(root)) {
  const queries = await blocksOf(path, 'sql')
  if (queries.length === 0) continue
  test(`${path}: every statement runs`, async () => {
    const undone = new Error('Undone: a role would outlive the database')
    const running = database.sql.begin(async transaction => {
      for (const { text } of queries) await transaction.unsafe(text)
      throw undone
    })
    assert.is(await running.catch(error => error), undone)
  })
}

async function blocksOf(path: string, language: string): Promise<Example[]> {
  return examplesIn(path, await readFile(join(root, path), 'utf8'), language)
}

/** Runs it as a file of a user's project: in Deno or Bun if it imports as they do, else in Node. */
async function runExample({ line, path, text }: Example): Promise<void> {
  const own = `${path.replaceAll(/\W/g, '-')}-${line}.ts`
  const file = placeOf(text) ?? own
  if (file === own)
    await writeFile(join(project, file), isLingering(text) ? `${text}\nawait Background.close()\n` : text)
  const [command, ...args] = text.includes("'npm:kretes")
    ? runtimes.deno
    : text.includes("'bun'")
      ? runtimes.bun
      : runtimes.node
  const child = start(command, [...args, file], { cwd: project, env: environment })
  // A worker that runs until it is asked to stop says that it looks for jobs, and is asked.
  if (text.includes('process.once')) await child.output(/looking for jobs/).then(() => child.kill('SIGTERM'))
  const { code, stdout, stderr } = await child.exit
  assert.is(code, 0, stderr || stdout)
}

/** Where a task file says that it belongs. These are written before any example runs, since others import them. */
function placeOf(text: string): string | undefined {
  return /^\/\/ (tasks\/\w+\.ts)$/m.exec(text)?.[1]
}

/** Whether a script would wait ten seconds until its idle connections close. */
function isLingering(text: string): boolean {
  return (
    /import \{[^}]*\bBackground\b/.test(text) &&
    text.includes('await Background') &&
    !text.includes('Background.close()')
  )
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
  for (const { text } of examples) {
    const place = placeOf(text)
    if (place) await writeFile(join(directory, place), text)
  }
  await generatePrismaClient(directory, 'generated/prisma', 'model User {\n  email String @id\n\n  @@map("users")\n}')
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
