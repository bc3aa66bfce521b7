import { fileURLToPath } from 'node:url'
import { run, start } from '../../helpers/process.ts'
import { build, distribution } from '../command.ts'
import { addSample, type Bench, createRow, interleave, type Measure } from '../measure.ts'
import { median } from '../statistics.ts'

const subjects = fileURLToPath(new URL('../subjects', import.meta.url))
// A module can import packages by name only from where they are installed.
const cwd = fileURLToPath(new URL('../../..', import.meta.url))

/** What a process pays at its start. */
export const startup: Measure = {
  name: 'startup',
  description: 'cost of importing the package, and of starting a worker',
  async run(bench) {
    await build()
    const rounds = bench.isQuick ? 3 : 11
    const imported = await measureImports(rounds)
    const picked = createRow('From process start to the first job', 'ms', 'lower')
    await interleave(rounds, ['kretes', 'defaults'] as const, async system => {
      addSample(picked, system, await timeToFirstJob(bench, system))
    })
    return {
      rows: [imported, picked],
      demands: [{ label: 'Import of the core, ms', value: median(imported.samples.kretes ?? []), atMost: 60 }]
    }
  }
}

async function measureImports(rounds: number): Promise<ReturnType<typeof createRow>> {
  const row = createRow('Import, over an empty script', 'ms', 'lower')
  const scripts = {
    empty: '',
    kretes: `import ${JSON.stringify(`${distribution}/mod.js`)}`,
    defaults: "import 'graphile-worker'"
  }
  for (let round = 0; round < rounds; round++) {
    const emptyMs = await timeOf(scripts.empty)
    addSample(row, 'kretes', (await timeOf(scripts.kretes)) - emptyMs)
    addSample(row, 'defaults', (await timeOf(scripts.defaults)) - emptyMs)
  }
  return row
}

async function timeOf(script: string): Promise<number> {
  const startedMs = performance.now()
  const { code, stderr } = await run(process.execPath, ['--input-type=module', '--eval', script], { cwd })
  if (code !== 0) throw new Error(`Cannot import: ${stderr}`)
  return performance.now() - startedMs
}

/** The schema is there and a job waits. */
async function timeToFirstJob({ databases }: Bench, system: 'kretes' | 'defaults'): Promise<number> {
  const commands = {
    kretes: [`${distribution}/cli.js`, 'bg', '--tasks', `${subjects}/tasks`],
    defaults: [`${subjects}/run.ts`]
  }
  await using database = await databases.create(system, [{ task: 'Trivial', count: 1, queues: 0 }])
  const startedMs = performance.now()
  const worker = start(process.execPath, commands[system], { cwd, env: { DATABASE_URL: database.url } })
  await worker.output(/picked/)
  const tookMs = performance.now() - startedMs
  worker.killGroup('SIGKILL')
  await worker.exit
  return tookMs
}
