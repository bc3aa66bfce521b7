import { type App, crossInto } from '../helpers/crossing.ts'
import { createDatabase } from '../helpers/database.ts'
import { createPackedProject } from '../helpers/packed.ts'
import { runtimeNames } from '../helpers/runtimes.ts'
import { suite } from '../helpers/suite.ts'

const test = suite('the package')
const database = await createDatabase({ isEmpty: true })
const { directory } = await createPackedProject()
const app: App = {
  directory,
  core: runtime => (runtime === 'deno' ? 'npm:kretes' : 'kretes'),
  worker: runtime => (runtime === 'deno' ? 'npm:kretes/worker' : 'kretes/worker')
}

for (const runtime of runtimeNames) {
  test(`runs in ${runtime} the jobs that ${runtimeNames.join(', ')} scheduled`, () => crossInto(runtime, app, database))
}
