import { fileURLToPath } from 'node:url'
import { type App, crossInto } from '../helpers/crossing.ts'
import { createDatabase } from '../helpers/database.ts'
import { runtimeNames } from '../helpers/runtimes.ts'
import { suite } from '../helpers/suite.ts'

const test = suite('the sources')
const database = await createDatabase({ isEmpty: true })
const app: App = {
  directory: fileURLToPath(new URL('./app', import.meta.url)),
  core: () => import.meta.resolve('../../mod.ts'),
  worker: () => import.meta.resolve('../../src/worker/mod.ts')
}

for (const runtime of runtimeNames) {
  test(`run in ${runtime} the jobs that ${runtimeNames.join(', ')} scheduled`, () => crossInto(runtime, app, database))
}
