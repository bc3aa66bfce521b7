import { fileURLToPath } from 'node:url'
import { createDatabase } from '../helpers/database.ts'
import { start } from '../helpers/process.ts'
import { assert, suite } from '../helpers/suite.ts'

const test = suite('a user without a home')
const root = fileURLToPath(new URL('../..', import.meta.url))

// Nobody else can become a user whom the system does not know.
if (process.getuid?.() === 0) {
  test('migrates, schedules and runs jobs, as in a container with a number for a user', async () => {
    const { url } = await createDatabase({ isEmpty: true })
    const script = `
      delete process.env.HOME
      process.setgroups([]); process.setgid(54321); process.setuid(54321)
      const { Background } = await import('${root}/mod.ts')
      const { startWorker } = await import('${root}/src/worker/mod.ts')
      const job = await Background.schedule({ task: 'Tell' })
      const worker = await startWorker({ tasks: { Tell: () => String(process.env.HOME) } })
      console.log('home is', await job.result())
      await worker.stop()
      await Background.close()`
    const child = start(process.execPath, ['--input-type=module', '-e', script], {
      cwd: '/',
      env: { DATABASE_URL: url }
    })
    const { code, stdout, stderr } = await child.exit
    assert.equal([code, stdout, stderr], [0, 'home is undefined\n', ''])
  })
}
