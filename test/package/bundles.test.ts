import { mkdir, stat, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ensureBuild } from '../helpers/build.ts'
import { createDatabase } from '../helpers/database.ts'
import { run } from '../helpers/process.ts'
import { assert, suite } from '../helpers/suite.ts'
import { createProject } from '../worker/project.ts'

const test = suite('a bundle that leaves kretes out')
const repository = fileURLToPath(new URL('../..', import.meta.url))
const bin = (name: string): string => join(repository, 'node_modules/.bin', name)
assert.is(await ensureBuild(), undefined)
const cwd = await createProject({
  'package.json': '{ "name": "bundled" }',
  'app.ts': `
    import { Background, type Task } from 'kretes'
    import { startWorker } from 'kretes/worker'
    const Greet: Task = async ({ name }) => 'Hello, ' + name
    async function main(): Promise<void> {
      const worker = await startWorker({ tasks: { Greet } })
      const job = await Background.schedule({ task: 'Greet', payload: { name: 'Ada' } })
      console.log(await job.result())
      await Promise.all([worker.stop(), Background.close()])
    }
    void main()`
})
await mkdir(join(cwd, 'node_modules'))
await symlink(repository, join(cwd, 'node_modules/kretes'), 'dir')

for (const [format, file] of [
  ['cjs', 'app.cjs'],
  ['esm', 'app.mjs']
] as const) {
  test(`schedules, migrates and works as ${format}, and is small`, async () => {
    const { url } = await createDatabase({ isEmpty: true })
    const options = ['--bundle', '--platform=node', '--packages=external', `--format=${format}`, `--outfile=${file}`]
    const bundled = await run(bin('esbuild'), ['app.ts', ...options], { cwd })
    assert.is(bundled.code, 0, bundled.stderr)
    assert.ok((await stat(join(cwd, file))).size < 2_048)
    const { code, stdout, stderr } = await run(process.execPath, [file], { cwd, env: { DATABASE_URL: url } })
    assert.equal([code, stdout], [0, 'Hello, Ada\n'], stderr)
  })
}

test('compiles from CommonJS, with module node20 or nodenext', async () => {
  for (const module of ['node20', 'nodenext']) {
    const types = ['--types', 'node', '--typeRoots', join(repository, 'node_modules/@types')]
    const options = ['--noEmit', '--strict', '--skipLibCheck', '--target', 'es2023', '--module', module, ...types]
    const { code, stdout } = await run(bin('tsc'), [...options, 'app.ts'], { cwd })
    assert.is(code, 0, stdout)
  }
})
