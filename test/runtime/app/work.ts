/** `work.ts <entry point>`: a worker that runs until it is asked to stop, in whatever runtime runs it. */
import process from 'node:process'

const [entry = 'kretes/worker'] = process.argv.slice(2)
const { startWorker } = (await import(entry)) as typeof import('kretes/worker')

const worker = await startWorker({ tasks: new URL('./tasks', import.meta.url), concurrency: 2 })
console.log(`ready for ${worker.tasks}`)
process.once('SIGTERM', async () => {
  const { unfinished } = await worker.stop()
  console.log(`stopped, ${unfinished} unfinished`)
})
