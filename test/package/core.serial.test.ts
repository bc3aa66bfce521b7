import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onceDone } from '../helpers/cleanup.ts'
import { run } from '../helpers/process.ts'
import { assert, suite } from '../helpers/suite.ts'

const test = suite('the core')
const core = new URL('../../dist/mod.js', import.meta.url).href
const directory = await mkdtemp(join(tmpdir(), 'kretes-core-'))
onceDone(() => rm(directory, { recursive: true }))

test('loads neither the engine, nor its driver, nor what belongs to the worker', async () => {
  const loaded = await loadedBy(`await import(${JSON.stringify(core)})`)
  assert.ok(loaded.some(url => url === core))
  assert.ok(loaded.some(url => /node_modules\/postgres\//.test(url)))
  const packages = new Set(loaded.map(url => url.match(/.*node_modules\/((@[^/]+\/)?[^/]+)/)?.[1]).filter(Boolean))
  assert.equal([...packages], ['postgres'])
})

test("loads the engine's driver with the worker: the list above would show it", async () => {
  const loaded = await loadedBy(`await import(${JSON.stringify(core.replace('mod.js', 'worker.js'))})`)
  assert.ok(loaded.some(url => /node_modules\/pg\//.test(url)))
})

test('costs less than 60 ms over an empty script', async () => {
  const measured: string[] = []
  // A busy machine makes everything dearer; a core that is too dear stays so however often it is measured. On a slow one
  // an empty script takes longer, too.
  while (measured.length < 5) {
    const { empty, cost } = await measure()
    if (cost < 60 || cost < empty * 3) return
    measured.push(`${cost.toFixed(1)} ms over ${empty.toFixed(1)}`)
  }
  assert.unreachable(`it costs ${measured.join(', ')}`)
})

/** How long the fastest run without the core takes, and by how much the fastest with it exceeds that. */
async function measure(): Promise<{ empty: number; cost: number }> {
  const scripts = { empty: '', core: `import ${JSON.stringify(core)}` }
  const times: Record<keyof typeof scripts, number[]> = { empty: [], core: [] }
  for (let round = 0; round < 11; round++) {
    for (const name of ['empty', 'core'] as const) {
      const file = join(directory, `${name}.mjs`)
      await writeFile(file, scripts[name])
      const started = performance.now()
      const { code, stderr } = await run(process.execPath, [file])
      times[name].push(performance.now() - started)
      assert.is(code, 0, stderr)
    }
  }
  const empty = Math.min(...times.empty)
  return { empty, cost: Math.min(...times.core) - empty }
}

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
