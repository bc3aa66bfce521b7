import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onceDone } from '../helpers/cleanup.ts'
import { run } from '../helpers/process.ts'
import { assert, suite } from '../helpers/suite.ts'

const test = suite('the core')
const core = new URL('../../dist/mod.js', import.meta.url).href
const directory = await mkdtemp(join(tmpdir(), 'kretes-core-'))
onceDone(() => rm(directory, { recursive: true }))

// croner adds a hundredth to the time that the core takes to load.
test('loads neither the engine, nor its driver, nor what belongs to the worker', async () => {
  const loaded = await loadedBy(`await import(${JSON.stringify(core)})`)
  assert.ok(loaded.some(url => url === core))
  assert.ok(loaded.some(url => /node_modules\/postgres\//.test(url)))
  const packages = new Set(loaded.map(url => url.match(/.*node_modules\/((@[^/]+\/)?[^/]+)/)?.[1]).filter(Boolean))
  assert.equal([...packages].sort(), ['croner', 'postgres'])
})

test("loads the engine's driver with the worker: the list above would show it", async () => {
  const loaded = await loadedBy(`await import(${JSON.stringify(core.replace('mod.js', 'worker.js'))})`)
  assert.ok(loaded.some(url => /node_modules\/pg\//.test(url)))
})

test('is small: what Node has to read and compile for it decides how long it takes to load', async () => {
  const files = (await loadedBy(`await import(${JSON.stringify(core)})`)).filter(url => url.startsWith('file:'))
  const sizes = await Promise.all(files.map(async url => (await stat(new URL(url))).size))
  const bytes = sizes.reduce((sum, size) => sum + size)
  assert.ok(files.length <= MOST_FILES && bytes <= MOST_BYTES, `${files.length} files with ${bytes} bytes`)
})

/** A tenth more than it takes now. */
const MOST_FILES = 27
const MOST_BYTES = 560_000

/** The URLs of all files that Node loads for a script, imported or required. */
async function loadedBy(script: string): Promise<string[]> {
  const file = join(directory, 'list.mjs')
  await writeFile(
    file,
    `import { registerHooks } from 'node:module'
     const urls = []
     registerHooks({ load(url, context, next) { urls.push(url); return next(url, context) } })
     ${script}
     console.log(JSON.stringify(urls))`
  )
  const { stdout, stderr } = await run(process.execPath, [file])
  assert.ok(stdout, stderr)
  return JSON.parse(stdout)
}
