import { symlink, writeFile } from 'node:fs/promises'
import { join, relative } from 'node:path'
import { BackgroundError } from '../../src/errors.ts'
import { discoverTasks } from '../../src/worker/tasks/discover.ts'
import { assert, suite } from '../helpers/suite.ts'
import { createProject } from './project.ts'

const test = suite('discovering tasks')

test('files are found in subfolders and sorted by name, whatever folder they are in', async () => {
  const project = await createProject({ 'tasks/z/Alpha.ts': '', 'tasks/Gamma.js': '', 'tasks/a/b/Beta.mts': '' })
  const { files, problems } = await discoverTasks(join(project, 'tasks'))
  const expected = [
    { name: 'Alpha', path: join(project, 'tasks/z/Alpha.ts') },
    { name: 'Beta', path: join(project, 'tasks/a/b/Beta.mts') },
    { name: 'Gamma', path: join(project, 'tasks/Gamma.js') }
  ]
  assert.equal(
    files,
    expected.map(file => ({ ...file, relativePath: relative(process.cwd(), file.path) }))
  )
  assert.equal(problems, [])
})

for (const extension of ['ts', 'mts', 'js', 'mjs', 'tsx', 'jsx']) {
  test(`a .${extension} file is a task file`, async () => {
    assert.equal(await namesIn({ [`SendEmail.${extension}`]: '' }), ['SendEmail'])
  })
}

const skipped = {
  'a test': ['SendEmail.test.ts', 'SendEmail.spec.mjs', 'SendEmail_test.ts', 'Mail.integration.test.ts'],
  'a declaration': ['SendEmail.d.ts', 'SendEmail.d.mts'],
  'a name with an underscore in front': ['_helper.ts', '_lib/Helper.ts', '__tests__/SendEmail.ts'],
  'a hidden name': ['.SendEmail.ts', '.cache/SendEmail.ts'],
  'an installed package': ['node_modules/pkg/Index.js', 'sub/node_modules/pkg/Index.js'],
  'another kind of file': ['README.md', 'data.json', 'Legacy.cjs', 'Legacy.cts', 'SendEmail.js.map', 'Makefile', 'ts']
}
for (const [what, paths] of Object.entries(skipped)) {
  test(`${what} is no task file and no problem`, async () => {
    assert.equal(await namesIn(Object.fromEntries(paths.map(path => [path, '']))), [])
  })
}

test('nothing is imported', async () => {
  assert.equal(await namesIn({ 'Broken.ts': 'this is no TypeScript' }), ['Broken'])
})

test('links are followed, but not in circles', async () => {
  const project = await createProject({ 'tasks/SendEmail.ts': '', 'shared/ResizeImage.ts': '' })
  await symlink(join(project, 'shared'), join(project, 'tasks/linked'), 'dir')
  await symlink(join(project, 'tasks'), join(project, 'tasks/around'), 'dir')
  await symlink(join(project, 'tasks/SendEmail.ts'), join(project, 'tasks/SendLetter.ts'))
  await symlink(join(project, 'nowhere'), join(project, 'tasks/Lost.ts'))
  const { files } = await discoverTasks(join(project, 'tasks'))
  assert.equal(
    files.map(file => file.name),
    ['Lost', 'ResizeImage', 'SendEmail', 'SendLetter']
  )
})

test('a name that is not in CamelCase is a problem, and no task file', async () => {
  const project = await createProject({ 'send-invoice.ts': '', 'helper.ts': '', 'SendEmail.ts': '', 'A.b.ts': '' })
  const { files, problems } = await discoverTasks(project)
  const hint = 'is not in CamelCase with a capital first letter; if it is no task, begin its name with an underscore'
  const path = relative(process.cwd(), project)
  assert.equal(problems, [
    `${path}/A.b.ts: its name "A.b" ${hint}`,
    `${path}/helper.ts: its name "helper" ${hint}`,
    `${path}/send-invoice.ts: its name "send-invoice" ${hint}`
  ])
  assert.equal(
    files.map(file => file.name),
    ['SendEmail']
  )
})

test('a name that is there twice is a problem, in two folders or with two extensions', async () => {
  const project = await createProject({ 'a/SendEmail.ts': '', 'b/SendEmail.ts': '', 'A.js': '', 'A.ts': '' })
  const path = relative(process.cwd(), project)
  const { problems } = await discoverTasks(project)
  assert.equal(problems, [
    `${path}/A.ts: its name is already that of ${path}/A.js`,
    `${path}/b/SendEmail.ts: its name is already that of ${path}/a/SendEmail.ts`
  ])
})

test('a missing directory is an error that names it and shows a first task', async () => {
  const error = await errorOf(discoverTasks('no/such/tasks'))
  assert.is(error.code, 'TASKS')
  assert.match(error.message, 'Cannot load the tasks in no/such/tasks: the directory does not exist\n')
  assert.match(error.message, 'no/such/tasks/SayHello.ts')
  assert.match(error.message, 'export default SayHello')
  assert.instance(error.cause, Error)
})

test('a file in place of the directory is an error', async () => {
  const project = await createProject({})
  await writeFile(join(project, 'tasks'), '')
  const error = await errorOf(discoverTasks(join(project, 'tasks')))
  assert.match(error.message, /^Cannot load the tasks in .*\/tasks: it is not a directory$/)
})

async function namesIn(files: Record<string, string>): Promise<string[]> {
  const { files: found, problems } = await discoverTasks(await createProject(files))
  assert.equal(problems, [])
  return found.map(file => file.name)
}

async function errorOf(promise: Promise<unknown>): Promise<BackgroundError> {
  const error: unknown = await promise.catch((error: unknown) => error)
  assert.instance(error, BackgroundError)
  return error as BackgroundError
}
