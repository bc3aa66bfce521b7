import { once } from 'node:events'
import { connectSockets, createSockets } from '../../src/database/sockets.ts'
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

test('close at once if a driver connects anew after that, or the process would never end', async () => {
  const sockets = createSockets()
  sockets.destroy()
  const late = connectSockets(sockets)(server)
  await once(late, 'close')
  assert.ok(late.destroyed)
})
