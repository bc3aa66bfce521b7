import { once } from 'node:events'
import { type AddressInfo, createServer } from 'node:net'
import postgres from 'postgres'
import { connectSockets, createSockets } from '../../src/database/connections/sockets.ts'
import { begin } from '../../src/database/connections/transaction.ts'
import { onceDone } from '../helpers/cleanup.ts'
import { createDatabase } from '../helpers/database.ts'
import { assert, suite } from '../helpers/suite.ts'

const test = suite('the sockets of a client')

const { url } = await createDatabase()
const { hostname, port } = new URL(url)
const server = { host: [hostname], port: [Number(port)] }

test('are closed together', async () => {
  const sockets = createSockets()
  const connect = connectSockets(sockets)
  const [first, second] = [connect(server), connect(server)]
  await once(first, 'connect')
  const closed = Promise.all([first, second].map(socket => once(socket, 'close')))
  sockets.destroy()
  await closed
})

test('close at once if they are made after that, and no driver connects anew, or the process would never end', async () => {
  const sockets = createSockets()
  sockets.destroy()
  const late = sockets.create().connect(Number(port), hostname)
  await once(late, 'close')
  assert.ok(late.destroyed)
  assert.throws(() => connectSockets(sockets)(server), /The client has ended/)
})

test('of a transaction that the server refuses are not made anew for the statements that waited', async () => {
  let connections = 0
  const fields = ['SFATAL', 'VFATAL', 'C53300', 'Msorry, too many clients already', ''].join('\0')
  const refusal = Buffer.alloc(5 + fields.length + 1)
  refusal.write('E')
  refusal.writeInt32BE(refusal.length - 1, 1)
  refusal.write(fields, 5)
  const refusing = createServer(socket => {
    connections++
    socket.on('error', () => {}).once('data', () => socket.end(refusal))
  })
  refusing.listen(0, '127.0.0.1')
  onceDone(() => refusing.close())
  await once(refusing, 'listening')
  const { port } = refusing.address() as AddressInfo
  const options = { max: 1, backoff: () => 0, ssl: false, sockets: createSockets() } as const
  for (let round = 1; round <= 5; round++) {
    const client = postgres(`postgres://nobody@127.0.0.1:${port}/nothing`, {
      ...options,
      ...(round > 2 && { socket: connectSockets(options.sockets) })
    } as never)
    const error = await begin(client, execute => execute({ text: 'select 1', values: [] })).then(
      () => undefined,
      error => error
    )
    assert.is(error.cause.code, '53300')
    assert.is(connections, round)
  }
})
