/** `schedule.ts <entry point> <payload>`: an application that schedules one job, in whatever runtime runs it. */
import process from 'node:process'

const [entry = 'kretes', payload = '{}'] = process.argv.slice(2)
const { createBackground, Queue } = (await import(entry)) as typeof import('kretes')

const background = createBackground({ connection: process.env.DATABASE_URL ?? '' })
const job = await background.schedule({ task: 'Greet', payload: JSON.parse(payload), queue: Queue.for('greetings') })
await background.close()
console.log(`scheduled ${job.id}`)
