import { fileURLToPath } from 'node:url'
import { compileExamples, examplesIn } from '../../scripts/check/examples.ts'
import { ensureBuild } from '../helpers/build.ts'
import { assert, suite } from '../helpers/suite.ts'

const test = suite('examples')
const root = fileURLToPath(new URL('../..', import.meta.url))
assert.is(await ensureBuild(), undefined)

test('are found in Markdown and in docstrings, with their lines', () => {
  const markdown = '# Title\n\n```ts\nconst a = 1\n```\n\n```sh\nls\n```\n'
  assert.equal(examplesIn('README.md', markdown), [{ path: 'README.md', line: 4, text: 'const a = 1\n' }])
  const source = '/**\n * Adds.\n *\n * ```ts\n * add(1)\n *\n * add(2)\n * ```\n */\n'
  assert.equal(examplesIn('src/a.ts', source), [{ path: 'src/a.ts', line: 5, text: 'add(1)\n\nadd(2)\n' }])
})

test('compile, each for itself', () => {
  const text = "import { Background } from 'kretes'\nawait Background.schedule({ task: 'A' })\n"
  const example = { path: 'README.md', line: 1, text }
  assert.equal(compileExamples(root, [example, example]), [])
})

test('are reported where they stand', () => {
  const text = "import { Queue } from 'kretes'\nQueue.for(1)\nconst name: string = true\n"
  assert.equal(compileExamples(root, [{ path: 'README.md', line: 10, text }]), [
    "README.md:11 Argument of type 'number' is not assignable to parameter of type 'string'.",
    "README.md:12 Type 'boolean' is not assignable to type 'string'."
  ])
})

test('are compiled with the tsconfig.json that the guide to TypeScript recommends', () => {
  const text = 'console.log(process.pid, AbortSignal.timeout(1))\nenum Colour { Red }\nconsole.log(Colour.Red)\n'
  assert.equal(compileExamples(root, [{ path: 'README.md', line: 1, text }]), [
    "README.md:2 This syntax is not allowed when 'erasableSyntaxOnly' is enabled."
  ])
})
