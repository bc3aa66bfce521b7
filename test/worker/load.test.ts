import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { BackgroundError } from '../../src/errors.ts'
import { defineTask, type Task } from '../../src/task.ts'
import { checkTasks, loadTasks } from '../../src/worker/tasks/load.ts'
import { assert, suite } from '../helpers/suite.ts'
import { createProject, installPackages, loadIn, type Outcome } from './project.ts'

const test = suite('loading tasks')
const native = suite('loading tasks in Node without tsx')
const tsx = suite('loading tasks through tsx')
const others = suite('loading tasks in Deno and Bun')
const inCode = suite('checking tasks given in code')

test('the examples of this repository load', async () => {
  const { tasks, files } = await loadTasks(fileURLToPath(new URL('../../tasks', import.meta.url)))
  const names = ['CheckWebsite', 'CountPrimes', 'SendEmail']
  assert.equal([...tasks.keys()], names)
  assert.equal(
    files.map(file => file.name),
    names
  )
  for (const [name, task] of tasks) assert.is(task.name, name)
})

test('an empty directory loads nothing', async () => {
  const { tasks, files } = await loadTasks(await createProject({}))
  assert.is(tasks.size, 0)
  assert.equal(files, [])
})

test('all that is wrong is said at once, and one bad file hides no other', async () => {
  const project = await createProject({
    'package.json': '{ "type": "module" }',
    'tasks/Fine.ts': 'export default async function Fine() {}',
    'tasks/NoDefault.ts': 'export const limit = 1',
    'tasks/Named.ts': 'export async function Named() {}',
    'tasks/Settings.ts': 'export default { limit: 1 }',
    'tasks/Nothing.ts': 'export default null',
    'tasks/List.js': 'export default []',
    'tasks/Mailer.ts': 'export default class Mailer {}',
    'tasks/Other.ts': DEFINED_AS_FINE,
    'tasks/Throws.ts': '\nthrow new RangeError("three\\nlines\\nlong")',
    'tasks/billing/send-invoice.ts': '',
    'tasks/billing/Fine.ts': 'export default async function Fine() {}'
  })
  const { code, message, cause } = await loadIn(project)
  assert.is(code, 'TASKS')
  assert.is(
    message,
    `Cannot load the tasks in tasks: 10 problems
  tasks/List.js: its default export is an array, not a function
  tasks/Mailer.ts: its default export is a class, not a function
  tasks/Named.ts: it has no default export; add: export default Named
  tasks/NoDefault.ts: it has no default export
  tasks/Nothing.ts: its default export is null, not a function
  tasks/Other.ts: its task is named Fine, as is that of tasks/Fine.ts
  tasks/Settings.ts: its default export is an object, not a function
  tasks/Throws.ts: cannot be loaded: RangeError: three, at line 2
  tasks/billing/Fine.ts: its name is already that of tasks/Fine.ts
  tasks/billing/send-invoice.ts: its name "send-invoice" is not in CamelCase with a capital first letter; if it is no task, begin its name with an underscore`
  )
  assert.match(cause ?? '', 'RangeError: three')
})

test('a file is known by its name, whatever its function is called, unless its task is named by hand', async () => {
  const project = await createProject({
    'package.json': '{ "type": "module" }',
    'tasks/GenerateInvoicePdf.js': 'var i=async()=>{};export{i as default};',
    'tasks/Other.js': 'export default function Another() {}',
    'tasks/Anonymous.js': 'export default async () => {}',
    'tasks/Wrapped.js': 'export default (run => () => run())(() => {})',
    'tasks/File.js': DEFINED_AS_FINE
  })
  const { tasks } = await loadTasks(join(project, 'tasks'))
  assert.equal([...tasks.keys()].sort(), ['Anonymous', 'Fine', 'GenerateInvoicePdf', 'Other', 'Wrapped'])
})

test('modules of every kind are loaded, compiled CommonJS among them', async () => {
  const project = await createProject({
    'package.json': '{ "type": "commonjs" }',
    'tasks/A.mts': 'const A = async (): Promise<number> => 1\nexport default A',
    'tasks/B.mjs': 'export default function B() { return 2 }',
    'tasks/C.js': 'module.exports = async function C() { return 3 }',
    'tasks/D.js': `Object.defineProperty(exports, '__esModule', { value: true })\nexports.default = function D() { return 4 }`
  })
  const { results } = await loadIn(project)
  assert.equal(resultsOf(results), { A: 1, B: 2, C: 3, D: 4 })
})

const install = 'npm install tsx'
const failures: Record<string, { files: Record<string, string>; line: string }> = {
  'an enum': {
    files: { 'Enum.ts': 'export enum Color { Red }' },
    line: `Enum.ts: cannot be loaded: TypeScript enum is not supported in strip-only mode, at line 1; Node only strips types; for all of TypeScript, ${install}`
  },
  'a decorator': {
    files: { 'Decorated.ts': 'const log = (_: unknown) => {}\n@log class Mailer {}' },
    line: `Decorated.ts: cannot be loaded: SyntaxError: Invalid or unexpected token; if it uses decorators, ${install}`
  },
  'an import without extension': {
    files: { 'Short.ts': `import { one } from './_one'`, '_one.ts': 'export const one = 1' },
    line: `Short.ts: cannot be loaded: Cannot find module 'tasks/_one' imported from tasks/Short.ts; write the import with its extension, or ${install}`
  },
  'an import of .js that means .ts': {
    files: { 'Compiled.ts': `import { one } from './_one.js'`, '_one.ts': 'export const one = 1' },
    line: `Compiled.ts: cannot be loaded: Cannot find module 'tasks/_one.js' imported from tasks/Compiled.ts; write the import with its extension, or ${install}`
  },
  'an import of a folder': {
    files: { 'Folder.ts': `import { one } from './_lib'`, '_lib/index.ts': 'export const one = 1' },
    line: `Folder.ts: cannot be loaded: Directory import 'tasks/_lib' is not supported resolving ES modules imported from tasks/Folder.ts; write out the file, or ${install}`
  },
  'an import of a file that is not there': {
    files: { 'Missing.ts': `import { one } from './_missing.ts'` },
    line: `Missing.ts: cannot be loaded: Cannot find module 'tasks/_missing.ts' imported from tasks/Missing.ts`
  },
  'a path alias': {
    files: { 'Alias.ts': `import { one } from '@/one'` },
    line: `Alias.ts: cannot be loaded: Cannot find package '@/one' imported from tasks/Alias.ts; for path aliases of tsconfig.json, ${install}`
  },
  'a package that is not installed': {
    files: { 'Package.ts': `import { one } from 'not-installed'` },
    line: `Package.ts: cannot be loaded: Cannot find package 'not-installed' imported from tasks/Package.ts; install it, or, if it is a path alias of tsconfig.json, ${install}`
  },
  'a .tsx file': {
    files: { 'Page.tsx': 'export default function Page() { return <p /> }' },
    line: `Page.tsx: cannot be loaded: Unknown file extension ".tsx" for tasks/Page.tsx; to load it in Node, ${install}`
  },
  'a type imported as a value': {
    files: { 'Typed.ts': `import { One } from './_types.ts'`, '_types.ts': 'export type One = 1' },
    line: `Typed.ts: cannot be loaded: SyntaxError: The requested module './_types.ts' does not provide an export named 'One', at line 1; a type needs \`import type\``
  },
  'a module in a CommonJS package': {
    files: { 'old/package.json': '{ "type": "commonjs" }', 'old/Old.ts': 'export default async function Old() {}' },
    line: `old/Old.ts: cannot be loaded: SyntaxError: Unexpected token 'export', at line 1; set "type": "module" in package.json, or end its name in .mts`
  },
  'a syntax error': {
    files: { 'Broken.ts': 'export default\nasync function Broken( {' },
    line: 'Broken.ts: cannot be loaded: SyntaxError: Unexpected token `<eof>`. Expected identifier, string literal, numeric literal or [ for the computed key, at line 2'
  },
  'an exception in a module that it imports': {
    files: { 'Victim.ts': `import './_culprit.ts'`, '_culprit.ts': `const user = null as any\n\nuser.name` },
    line: `Victim.ts: cannot be loaded: TypeError: Cannot read properties of null (reading 'name'), at tasks/_culprit.ts:3`
  },
  'something thrown that is no error': {
    files: { 'Rude.ts': `throw { reason: 'because' }` },
    line: `Rude.ts: cannot be loaded: it throws { reason: 'because' }`
  }
}

let lines: string[] = []
native.before(async () => {
  const files = Object.values(failures).flatMap(({ files }) => Object.entries(files))
  const tasks = Object.fromEntries(files.map(([path, text]) => [`tasks/${path}`, text]))
  const { message = '' } = await loadIn(await createProject({ 'package.json': '{ "type": "module" }', ...tasks }))
  lines = message.split('\n')
})

for (const [what, { line }] of Object.entries(failures)) {
  native(`${what} is explained in one line`, () => {
    const name = line.split(':', 1)[0]!
    assert.is(
      lines.find(text => text.startsWith(`  tasks/${name}:`)),
      `  tasks/${line}`
    )
  })
}

const allOfTypeScript = {
  'tsconfig.json': `{
    // With a comment, as such files have.
    "compilerOptions": { "paths": { "@/*": ["./lib/*"] }, "experimentalDecorators": true, "jsx": "react", "jsxFactory": "h" },
  }`,
  'lib/one.ts': 'export enum One { Value = 1 }',
  'lib/lazy.ts': 'export enum Lazy { Value = 5 }',
  'tasks/Alias.ts': `import { One } from '@/one'\nexport default function Alias() { return One.Value }`,
  'tasks/Short.ts': `import { One } from '../lib/one'\nexport default function Short() { return One.Value + 1 }`,
  'tasks/Enum.ts': `enum Color { Red = 3 }\nexport default function Enum() { return Color.Red }`,
  'tasks/Decorated.ts': `let seen = 0
    const log = (_: unknown) => { seen = 4 }
    @log class Mailer { constructor(private readonly limit: number) {} }
    export default function Decorated() { return seen }`,
  'tasks/Lazy.ts': `export default async function Lazy() { return (await import('../lib/lazy')).Lazy.Value }`,
  'tasks/Page.tsx': `const h = (name: string) => name\nexport default function Page() { return <b /> }`
}
const allResults = { Alias: 1, Short: 2, Enum: 3, Decorated: 4, Lazy: 5, Page: 'b' }
const usesKretes = `import { BackgroundError, defineTask, Queue } from 'kretes'
  export default defineTask({
    name: 'Kretes',
    queue: Queue.for('email'),
    run: (input: Record<string, unknown>) => input.BackgroundError === BackgroundError
  })`

tsx('aliases, short imports, enums, decorators, JSX and imports made while a task runs all work', async () => {
  const project = await createProject({ 'package.json': '{ "type": "module" }', ...allOfTypeScript })
  await installPackages(project)
  assert.equal(resultsOf((await loadIn(project)).results), allResults)
})

tsx('a project without "type": "module" works as well', async () => {
  const project = await createProject({ 'package.json': '{}', ...allOfTypeScript })
  await installPackages(project)
  assert.equal(resultsOf((await loadIn(project)).results), allResults)
})

tsx('a task shares the worker’s copy of kretes', async () => {
  const project = await createProject({ 'package.json': '{ "type": "module" }', 'tasks/Kretes.ts': usesKretes })
  await installPackages(project)
  assert.equal((await loadIn(project)).results, { Kretes: { result: true, queue: 'email' } })
})

tsx('the options of a task survive in a project without "type": "module"', async () => {
  const project = await createProject({ 'package.json': '{}', 'tasks/Kretes.ts': usesKretes })
  await installPackages(project)
  assert.is((await loadIn(project)).results?.Kretes?.queue, 'email')
})

tsx('a syntax error is placed, and the remedy that is there already is not offered', async () => {
  const project = await createProject({
    'package.json': '{ "type": "module" }',
    'tasks/Broken.ts': 'export default\nasync function Broken( {',
    'tasks/Package.ts': `import { one } from 'not-installed'\nconsole.log(one)`
  })
  await installPackages(project)
  const { message } = await loadIn(project)
  assert.is(
    message,
    `Cannot load the tasks in tasks: 2 problems
  tasks/Broken.ts: cannot be loaded: SyntaxError: Expected identifier but found end of file, at line 2
  tasks/Package.ts: cannot be loaded: Cannot find package 'not-installed' imported from tasks/Package.ts`
  )
})

for (const runtime of ['Deno', 'Bun'] as const) {
  others(`${runtime} loads what it understands, and says what it cannot load`, async () => {
    const fine = await createProject({
      'package.json': '{ "type": "module" }',
      'tasks/Enum.ts': 'enum Color { Red = 3 }\nexport default function Enum() { return Color.Red }',
      'tasks/sub/Module.mjs': 'export default async function Module() { return 1 }',
      'tasks/Page.tsx': 'export default async function Page(): Promise<number> { return 2 }'
    })
    assert.equal(resultsOf((await loadIn(fine, runtime)).results), { Enum: 3, Module: 1, Page: 2 })

    const broken = await createProject({
      'package.json': '{ "type": "module" }',
      'tasks/Broken.ts': 'export default\nasync function Broken( {',
      'tasks/Throws.ts': '\nthrow new RangeError("too much")'
    })
    const message = (await loadIn(broken, runtime)).message ?? ''
    assert.match(message, /^Cannot load the tasks in tasks: 2 problems\n/)
    assert.match(message, /\n {2}tasks\/Broken\.ts: cannot be loaded: SyntaxError: .+, at line 2\n/)
    assert.match(message, '\n  tasks/Throws.ts: cannot be loaded: RangeError: too much, at line 2')
  })
}

inCode('functions and defined tasks are taken by name', () => {
  const SendEmail: Task = async () => {}
  const ResizeImage = defineTask({ name: 'ResizeImage', run: async () => {} })
  const tasks = checkTasks({ SendEmail, ResizeImage })
  assert.equal([...tasks.keys()], ['SendEmail', 'ResizeImage'])
  assert.is(tasks.get('SendEmail'), SendEmail)
})

inCode('the name by hand counts, then the key, and never that of the function', () => {
  const defined = defineTask({ name: 'Defined', run: async () => {} })
  const renamed = Object.defineProperty(async () => {}, 'name', { value: 'i' })
  const tasks = checkTasks({ anything: defined, GenerateInvoicePdf: renamed, Wrapped: (() => async () => {})() })
  assert.equal([...tasks.keys()], ['Defined', 'GenerateInvoicePdf', 'Wrapped'])
})

inCode('all that is wrong is said at once', () => {
  const SendEmail: Task = async () => {}
  const sendLetter: Task = async () => {}
  const Mail = defineTask({ name: 'SendEmail', run: async () => {} })
  const record = { SendEmail, Mail, sendLetter, Nothing: undefined }
  let error: unknown
  try {
    checkTasks(record as unknown as Record<string, Task>)
  } catch (thrown) {
    error = thrown
  }
  assert.instance(error, BackgroundError)
  assert.is((error as BackgroundError).code, 'TASKS')
  assert.is(
    (error as BackgroundError).message,
    `Cannot load the tasks: 3 problems
  Nothing: its value is undefined, not a function
  Mail: its task is named SendEmail, as is that of SendEmail
  sendLetter: its name "sendLetter" is not in CamelCase with a capital first letter`
  )
})

function resultsOf(results: Outcome['results'] = {}): Record<string, unknown> {
  return Object.fromEntries(Object.entries(results).map(([name, { result }]) => [name, result]))
}

const MOD = JSON.stringify(new URL('../../mod.ts', import.meta.url).href)
const DEFINED_AS_FINE = `import { defineTask } from ${MOD}\nexport default defineTask({ name: 'Fine', run: () => {} })`
