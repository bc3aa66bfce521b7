import { spawn } from 'node:child_process'
import { globSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { checkExamples } from './check/examples.ts'
import { checkLinks } from './check/links.ts'
import { checkManifests } from './check/manifests.ts'
import { checkText } from './check/text.ts'

/**
 * `npm run check [-- words…]`: every gate that is not a test, a line for each, and all that they found at the end. With
 * words, only the gates that are named so.
 */

const root = fileURLToPath(new URL('..', import.meta.url))
const packed = await mkdtemp(join(tmpdir(), 'kretes-pack-'))
const entries = ['mod.ts', 'src/worker/mod.ts']

type Problems = string[]
type Gate = () => Problems | Promise<Problems>

const gates: Record<string, Gate> = {
  types: () => run('tsc', '--noEmit'),
  biome: () => run('biome', 'check', '--error-on-warnings', '--colors=off'),
  layers: () =>
    run('depcruise', '--config', '.dependency-cruiser.mjs', 'mod.ts', 'src', 'cli', 'tasks', 'test', 'scripts'),
  rules: () => checkText(root),
  build: () => run('tsup', '--silent'),
  examples: () => checkExamples(root),
  links: () => checkLinks(root),
  manifests: () => checkManifests(root),
  publint: async () => run('publint', '--strict', await pack()),
  attw: async () => run('attw', await pack(), '--profile', 'esm-only', '--no-emoji', '--no-color'),
  'deno check': () => run('deno', 'check', '--quiet', ...entries),
  'deno doc': () => run('deno', 'doc', '--quiet', '--lint', ...entries),
  'deno publish': () => run('deno', 'publish', '--quiet', '--dry-run', '--allow-dirty')
}

const words = process.argv.slice(2)
const chosen = Object.entries(gates).filter(([name]) => words.length === 0 || words.some(word => name.includes(word)))
const failures: [gate: string, problems: Problems][] = []
for (const [name, gate] of chosen) {
  const started = performance.now()
  const problems = await gate()
  const seconds = ((performance.now() - started) / 1_000).toFixed(1)
  if (problems.length > 0) failures.push([name, problems])
  console.log(`${problems.length > 0 ? 'FAIL' : 'ok  '}  ${name.padEnd(14)}${seconds.padStart(6)} s`)
}
await rm(packed, { recursive: true })

for (const [name, problems] of failures) {
  console.log(`\n${name}`)
  for (const problem of problems) console.log(problem.trimEnd().replace(/^/gm, '  '))
}
console.log(
  `${failures.length > 0 ? '\n' : ''}${chosen.length - failures.length} gates passed, ${failures.length} failed`
)
process.exit(failures.length > 0 ? 1 : 0)

/** Runs a tool; what it wrote is the problem if it fails. */
async function run(tool: string, ...args: string[]): Promise<Problems> {
  const child = spawn(tool, args, {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: {
      ...process.env,
      PATH: `${join(root, 'node_modules/.bin')}${delimiter}${process.env.PATH}`,
      NO_COLOR: '1',
      DENO_NO_UPDATE_CHECK: '1'
    }
  })
  const output: string[] = []
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', chunk => output.push(chunk))
  const code = await new Promise((resolve, reject) => child.once('error', reject).once('close', resolve))
  return code === 0 ? [] : [output.join('') || `${tool} ended with ${code}`]
}

/** The package as npm would publish it, from the build at hand. */
async function pack(): Promise<string> {
  const problems = await run('npm', 'pack', '--ignore-scripts', '--silent', '--pack-destination', packed)
  if (problems.length > 0) throw new Error(`Cannot pack: ${problems}`)
  const [tarball] = globSync(join(packed, '*.tgz'))
  return tarball ?? ''
}
