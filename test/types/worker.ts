/** Compiled by `npm run check`, never run: what `startWorker` accepts and what it refuses. */
import { Queue, type Task } from 'kretes'
import { startWorker, type Worker } from 'kretes/worker'

const SendEmail: Task<{ to: string }> = async () => {}
async function Plain(_input: { to: string }): Promise<void> {}

export async function accepted(): Promise<void> {
  const worker: Worker = await startWorker()
  await worker.stop()
  await using other = await startWorker({ tasks: 'tasks', connection: 'postgres://localhost/jobs', concurrency: 5 })
  other satisfies Worker
  await startWorker({ tasks: new URL('./tasks', import.meta.url), logger: console })
  await startWorker({ tasks: { SendEmail, Plain } })
  await startWorker({ tasks: { Inline: async input => console.log(input.name) } })
  await startWorker({ only: [SendEmail, 'Plain'], queues: ['email', Queue.for('files')] })
  await startWorker({ except: [Plain], queues: { except: [Queue.for('email')] } })
  await startWorker({ queues: false })
}

export async function refused(): Promise<void> {
  // @ts-expect-error a task is a function
  await startWorker({ tasks: { SendEmail: 'SendEmail' } })
  // @ts-expect-error concurrency is a number
  await startWorker({ concurrency: '5' })
  // @ts-expect-error there is no such option
  await startWorker({ concurency: 5 })
  // @ts-expect-error only is a list
  await startWorker({ only: 'SendEmail' })
  // @ts-expect-error a task is a function or a name
  await startWorker({ except: [1] })
  // @ts-expect-error all queues is what you get without the option
  await startWorker({ queues: true })
  // @ts-expect-error a list of queues needs no name
  await startWorker({ queues: { only: ['email'] } })
}
