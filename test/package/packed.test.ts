import { cp, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { onceDone } from '../helpers/cleanup.ts'
import { createDatabase } from '../helpers/database.ts'
import { nodeOf } from '../helpers/installed.ts'
import { createPackedProject, readManifest } from '../helpers/packed.ts'
import { run } from '../helpers/process.ts'
import { assert, suite } from '../helpers/suite.ts'

const test = suite('the packed package')
const project = await createPackedProject()
const cwd = project.directory
const results = await mkdtemp(join(tmpdir(), 'kretes-results-'))
onceDone(() => rm(results, { recursive: true }))

test('holds the build and what a reader wants, and nothing else', () => {
  const others = project.files.filter(path => !/^dist\/[\w-]+(\.d\.ts|\.js|\.js\.map)$/.test(path))
  assert.equal(others.filter(path => !['CHANGELOG.md', 'README.md'].includes(path)).sort(), ['LICENSE', 'package.json'])
})

for (const major of [22, 24, 26]) {
  test(`offers the same on Node ${major} from both entry points`, async () => {
    const { stdout } = await runNode(major, ['--input-type=module', '--eval', LIST_EXPORTS])
    assert.equal(JSON.parse(stdout), {
      node: major,
      core: [
        'Background',
        'BackgroundError',
        'Limit',
        'PermanentError',
        'Queue',
        'RateLimited',
        'Snooze',
        'createBackground',
        'defineTask'
      ],
      worker: ['guardProcess', 'startWorker'],
      isOneClass: true
    })
  })

  test(`schedules a job from an application and runs it from the command line on Node ${major}`, async () => {
    const { url } = await createDatabase({ isEmpty: true })
    const payload = JSON.stringify({ name: `Node ${major}`, directory: results })
    await runNode(major, ['schedule.ts', 'kretes', payload], url)
    await runNode(major, ['node_modules/.bin/kretes', 'bg', '--once'], url)
    assert.match(await readFile(join(results, 'greetings.txt'), 'utf8'), `Hello, Node ${major}\n`)
  })
}

test('brings a database of its own below a directory that is private, where none is named', async () => {
  const { mode } = await stat(cwd)
  assert.is(mode & 0o777, 0o700)
  const payload = JSON.stringify({ name: 'from the embedded database', directory: results })
  const scheduled = await runNode(24, ['node_modules/.bin/ks', 'bg', 'schedule', 'Greet', payload])
  assert.match(scheduled.stdout, 'Greet')
  await runNode(24, ['node_modules/.bin/ks', 'bg', '--once'])
  assert.match(await readFile(join(results, 'greetings.txt'), 'utf8'), 'Hello, from the embedded database\n')
  await runNode(24, ['node_modules/.bin/ks', 'bg', 'db', 'stop'])
})

test('runs through npx under both of its names, whichever Node comes first on PATH', async () => {
  const { version } = await readManifest(project)
  for (const name of ['kretes', 'ks']) {
    const PATH = `${await nodeOf(22)}${delimiter}${process.env.PATH}`
    const { code, stdout, stderr } = await run('npx', ['--no', '--', name, '--version'], { cwd, env: { PATH } })
    assert.is(code, 0, stderr)
    assert.match(stdout, version)
  }
})

test('compiles under strict, its own declarations included', async () => {
  const snippets = fileURLToPath(new URL('../types', import.meta.url))
  await cp(snippets, join(cwd, 'types'), { recursive: true })
  const modules = fileURLToPath(new URL('../../node_modules', import.meta.url))
  const compilerOptions = {
    target: 'es2024',
    lib: ['es2024', 'esnext.disposable'],
    module: 'nodenext',
    strict: true,
    exactOptionalPropertyTypes: true,
    allowImportingTsExtensions: true,
    noEmit: true,
    typeRoots: [join(modules, '@types')],
    types: ['node']
  }
  await writeFile(join(cwd, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['types', 'tasks', '*.ts'] }))
  const { code, stdout } = await run(join(modules, '.bin/tsc'), ['-p', cwd], { cwd })
  assert.is(code, 0, stdout)
})

const LIST_EXPORTS = `
  import * as core from 'kretes'
  import * as worker from 'kretes/worker'
  const error = await worker.startWorker({ tasks: {}, connection: 'postgres://127.0.0.1:1' }).catch(error => error)
  console.log(JSON.stringify({
    node: Number(process.versions.node.split('.')[0]),
    core: Object.keys(core).sort(),
    worker: Object.keys(worker).sort(),
    isOneClass: error instanceof core.BackgroundError
  }))`

async function runNode(major: number, args: string[], url?: string) {
  const node = join(await nodeOf(major), 'node')
  const exit = await run(node, args, { cwd, env: { DATABASE_URL: url } })
  assert.is(exit.code, 0, exit.stderr || exit.stdout)
  return exit
}
