/** Compiled by `npm run check`, never run: what can be paused and resumed, and what a version is. */
import { Background, defineTask, type Pause, Queue, type Task } from 'kretes'

const SendEmail: Task<{ to: string }> = async () => {}

export async function accepted(): Promise<void> {
  const pause: Pause = await Background.pause({ task: SendEmail, reason: 'Too much mail', by: 'Ada' })
  pause.kind satisfies 'all' | 'task' | 'queue' | 'limit'
  pause.name satisfies string | null
  await Background.pause({ queue: Queue.for('email') })
  await Background.pause({ all: true })
  const ended: Pause | undefined = await Background.resume({ task: 'SendEmail' })
  ended?.since satisfies Date | undefined
  const pauses: readonly Pause[] = await Background.pauses()
  const status = await Background.status()
  status.pauses satisfies typeof pauses
  defineTask({ name: 'SendEmail', version: 2, run: async (input: { to: string }) => input.to })
}

export async function refused(): Promise<void> {
  // @ts-expect-error to pause nothing is to call nothing
  await Background.pause({ all: false })
  // @ts-expect-error a reason is a text
  await Background.pause({ all: true, reason: 1 })
  // @ts-expect-error the end of a pause needs no reason
  await Background.resume({ queue: 'email', reason: 'The mail server is back' })
  // @ts-expect-error a version is a number
  defineTask({ name: 'SendEmail', version: '2', run: () => {} })
}
