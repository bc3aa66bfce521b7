import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { text } from 'node:stream/consumers'
import { type ParsedMail, simpleParser } from 'mailparser'
import { SMTPServer, type SMTPServerOptions } from 'smtp-server'
import SendEmail from '../../tasks/SendEmail.ts'
import { onceDone } from '../helpers/cleanup.ts'
import { assert, suite } from '../helpers/suite.ts'
import { contextFor } from './context.ts'

const outbox = suite('SendEmail without a server')
const smtp = suite('SendEmail with a server')

outbox.before.each(async () => {
  const directory = await mkdtemp(join(tmpdir(), 'kretes-outbox-'))
  onceDone(() => rm(directory, { recursive: true, force: true }))
  process.chdir(directory)
  delete process.env.SMTP_URL
  delete process.env.MAIL_FROM
})
outbox.after(() => process.chdir(tmpdir()))

outbox('without a payload it writes a valid message to a default recipient', async () => {
  const context = contextFor('SendEmail')
  await SendEmail({}, context)
  assert.equal(context.lines, ['Wrote the email to .kretes/outbox/SendEmail-12.eml'])
  const raw = await readFile('.kretes/outbox/SendEmail-12.eml')
  assertIsMessage(raw)
  const message = await simpleParser(raw)
  assert.is(addressesOf(message), 'admin@example.com')
  assert.is(message.from?.text, 'kretes@example.com')
  assert.is(message.subject, 'Hello from kretes')
  assert.match(message.text ?? '', /^Hello!\n/)
})

outbox('recipient, name, subject and text are those of the payload, in any script', async () => {
  process.env.MAIL_FROM = 'Shop <shop@example.org>'
  const text = `${'Zażółć gęślą jaźń. '.repeat(80)}\n.\n..\nFrom here`
  const email = { to: 'ada@example.com', name: 'Łucja "Lu", Ω', subject: 'Größe: 📦', text }
  await SendEmail(email, contextFor('SendEmail'))
  const raw = await readFile('.kretes/outbox/SendEmail-12.eml')
  assertIsMessage(raw)
  const message = await simpleParser(raw)
  assert.is(addressesOf(message), '"Łucja \\"Lu\\", Ω" <ada@example.com>')
  assert.is(message.from?.value[0]?.name, 'Shop')
  assert.is(message.subject, email.subject)
  assert.is(message.text?.trimEnd(), text)
  assert.match(message.messageId ?? '', /@example\.org>$/)
})

outbox('a second attempt replaces the message of the first, under the same message id', async () => {
  await SendEmail({ text: 'first' }, contextFor('SendEmail'))
  const first = await simpleParser(await readFile('.kretes/outbox/SendEmail-12.eml'))
  await SendEmail({ text: 'second' }, contextFor('SendEmail', { attempt: 2 }))
  const second = await simpleParser(await readFile('.kretes/outbox/SendEmail-12.eml'))
  assert.is(second.text?.trim(), 'second')
  assert.is(second.messageId, first.messageId)
  assert.equal(await readdir('.kretes/outbox'), ['SendEmail-12.eml'])
})

outbox('line breaks in a payload add no headers', async () => {
  const evil = 'x\r\nBcc: evil@example.com\r\n\r\nbody'
  await SendEmail({ name: evil, subject: evil }, contextFor('SendEmail'))
  const message = await simpleParser(await readFile('.kretes/outbox/SendEmail-12.eml'))
  assert.is(message.headers.has('bcc'), false)
})

const notAddresses: unknown[] = [
  '',
  'admin',
  'ad min@example.com',
  'a@b@c',
  'a@b.c, d@e.f',
  'a@b.c\r\nBcc: d@e.f',
  5,
  null
]
for (const to of notAddresses) {
  outbox(`${JSON.stringify(to)} is refused as an address`, async () => {
    const error = await errorOf(SendEmail({ to: to as string }, contextFor('SendEmail')))
    assert.instance(error, TypeError)
    assert.is(error.message, `Cannot send the email: ${JSON.stringify(to)} is no email address`)
    assert.equal(await readdir('.'), [])
  })
}

outbox('a run that was cancelled before it began writes nothing', async () => {
  const error = await errorOf(SendEmail({}, contextFor('SendEmail', { signal: AbortSignal.abort() })))
  assert.is((error as { code?: string }).code, 'EABORT')
  assert.equal(await readdir('.'), [])
})

smtp.after.each(() => {
  delete process.env.SMTP_URL
})

smtp('the message is delivered, with the same id on every attempt', async () => {
  const received = await startSmtpServer()
  const context = contextFor('SendEmail')
  await SendEmail({ to: 'ada@example.com', name: 'Ada', text: 'Grüße' }, context)
  assert.equal(context.lines, ['Sent the email to ada@example.com'])
  await SendEmail({ to: 'ada@example.com' }, contextFor('SendEmail', { attempt: 2 }))
  assert.is(received.length, 2)
  const [first, second] = received
  assert.is(addressesOf(first!), '"Ada" <ada@example.com>')
  assert.is(first?.text?.trim(), 'Grüße')
  assert.is(first?.messageId, '<SendEmail.12.1767323045678@example.com>')
  assert.is(second?.messageId, first?.messageId)
})

smtp('the server’s refusal is the error', async () => {
  await startSmtpServer({ onRcptTo: (_address, _session, done) => done(new Error('No such mailbox')) })
  const error = await errorOf(SendEmail({}, contextFor('SendEmail')))
  assert.match(error.message, 'No such mailbox')
})

smtp('a server that is not there is an error', async () => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  process.env.SMTP_URL = `smtp://127.0.0.1:${port}`
  const error = await errorOf(SendEmail({}, contextFor('SendEmail')))
  assert.match(error.message, 'ECONNREFUSED')
})

smtp('cancelling ends a conversation with a server that keeps silent', async () => {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  process.env.SMTP_URL = `smtp://127.0.0.1:${(server.address() as AddressInfo).port}`
  const abort = new AbortController()
  const sending = errorOf(SendEmail({}, contextFor('SendEmail', { signal: abort.signal })))
  const [socket] = await once(server, 'connection')
  abort.abort()
  assert.is(((await sending) as { code?: string }).code, 'EABORT')
  socket.resume()
  await once(socket, 'close')
  server.close()
})

/** Header fields that RFC 5322 and MIME ask for, each once; CRLF alone ends a line; ASCII alone, in lines of 998 at most. */
function assertIsMessage(raw: Buffer): void {
  const message = raw.toString('latin1')
  const [head = '', body] = message.split('\r\n\r\n', 2)
  assert.type(body, 'string')
  assert.not.match(message, /[^\r]\n|\r[^\n]/)
  assert.match(message, /^[\t\r\n\x20-\x7e]*$/)
  assert.ok(message.split('\r\n').every(line => line.length <= 998))
  for (const name of ['Date', 'From', 'To', 'Subject', 'Message-ID', 'MIME-Version', 'Content-Type']) {
    assert.is(head.split('\r\n').filter(line => line.startsWith(`${name}: `)).length, 1, name)
  }
  const date = /^Date: (.+)$/m.exec(head)?.[1] ?? ''
  assert.match(date, /^\w{3}, \d{1,2} \w{3} \d{4} \d\d:\d\d:\d\d [+-]\d{4}$/)
  assert.ok(Math.abs(Date.parse(date) - Date.now()) < 60_000)
}

async function startSmtpServer(options: SMTPServerOptions = {}): Promise<ParsedMail[]> {
  const received: ParsedMail[] = []
  const server = new SMTPServer({
    authOptional: true,
    disabledCommands: ['STARTTLS'],
    onData: async (stream, _session, done) => {
      received.push(await simpleParser(await text(stream)))
      done()
    },
    ...options
  })
  server.listen(0, '127.0.0.1')
  await once(server.server, 'listening')
  onceDone(() => new Promise<void>(resolve => server.close(resolve)))
  process.env.SMTP_URL = `smtp://127.0.0.1:${(server.server.address() as AddressInfo).port}`
  return received
}

function addressesOf(message: ParsedMail): string {
  return [message.to ?? []]
    .flat()
    .map(({ text }) => text)
    .join(', ')
}

async function errorOf(promise: unknown): Promise<Error> {
  try {
    await promise
  } catch (error) {
    if (error instanceof Error) return error
  }
  throw new Error('Cannot see the error: there is none')
}
