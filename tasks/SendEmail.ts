import { mkdir, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import type { Task } from 'kretes'
import { createTransport, type SendMailOptions } from 'nodemailer'

interface Email {
  to?: string
  name?: string
  subject?: string
  text?: string
}

/**
 * Sends an email through the server that SMTP_URL names, as in smtps://user:password@smtp.example.com. Without SMTP_URL
 * the message becomes a file in .kretes/outbox/, which any mail program opens: development sends nothing to anybody.
 * MAIL_FROM names the sender.
 */
const SendEmail: Task<Email> = async (email, { job, attempt, logger, signal }) => {
  const { to = 'admin@example.com', name = '', subject = 'Hello from kretes', text = greeting(name) } = email
  if (!ADDRESS.test(to)) throw new TypeError(`Cannot send the email: ${JSON.stringify(to)} is no email address`)
  const from = process.env.MAIL_FROM ?? 'kretes@example.com'

  // The worker may die after the server took the message and before the job is marked as done; the job then runs again.
  // With the same id on each attempt, the receiver can drop the second copy.
  const messageId = `<${job.task}.${job.id}.${job.scheduledAt.getTime()}@${domainOf(from)}>`
  const message = { from, to: { name, address: to }, subject, text, messageId, signal }

  if (process.env.SMTP_URL) {
    await createTransport(process.env.SMTP_URL).sendMail(message)
    logger.info(`Sent the email to ${to}`)
  } else {
    const path = await writeToOutbox(message, `${job.task}-${job.id}`, attempt)
    logger.info(`Wrote the email to ${path}`)
  }
}
export default SendEmail

/** Under a temporary name at first, so that nobody ever opens half a message. */
async function writeToOutbox(email: SendMailOptions, name: string, attempt: number): Promise<string> {
  const composer = createTransport({ streamTransport: true, buffer: true, newline: 'windows' })
  const { message } = await composer.sendMail(email)
  const outbox = join('.kretes', 'outbox')
  const path = join(outbox, `${name}.eml`)
  const temporaryPath = join(outbox, `.${name}.${attempt}`)
  await mkdir(outbox, { recursive: true })
  await writeFile(temporaryPath, message)
  await rename(temporaryPath, path)
  return path
}

function greeting(name: string): string {
  return `Hello${name && `, ${name}`}!\n\nA background job sent you this message.\n`
}

/** Of `Ada <ada@example.com>` as of `ada@example.com`. */
function domainOf(address: string): string {
  return address.replace(/>$/, '').split('@').at(-1) || 'localhost'
}

const ADDRESS = /^[^\s@<>()[\]\\,;:"]+@[^\s@<>()[\]\\,;:"]+$/
