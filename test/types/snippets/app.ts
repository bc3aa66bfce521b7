// anywhere in the application
import { Background, Queue } from 'kretes'
import SendEmail from './tasks/SendEmail.ts'

await Background.schedule({ task: SendEmail })
await Background.schedule({ task: SendEmail, payload: { to: 'admin@example.com' } })
await Background.schedule({ task: SendEmail, queue: Queue.for('email') })
