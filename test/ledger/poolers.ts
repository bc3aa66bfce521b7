import { connect, createServer, type Server as Listener, type Socket } from 'node:net'
import { onceDone } from '../helpers/cleanup.ts'

/**
 * Puts a pooler in transaction mode in front of a database, as far as that is needed to see one at work: each client's
 * start opens a connection to the server, which then serves whoever begins a transaction next, the longest idle first.
 *
 * @returns the database's URL by way of it
 */
export async function createTransactionPooler(target: string): Promise<string> {
  const url = new URL(target)
  const idle: Server[] = []
  const waiting: (() => void)[] = []
  const sockets = new Set<Socket>()

  const listener = createServer(client => {
    sockets.add(client.on('error', () => {}))
    let server: Server | undefined
    let hasStarted = false
    const release = (): void => {
      idle.push(server!)
      server!.deliver = () => {}
      server = undefined
      waiting.shift()?.()
    }
    const send = (chunk: Buffer): void => {
      if (!server && idle.length === 0) return void waiting.push(() => send(chunk))
      server ??= idle.shift()!
      server.deliver = (bytes, isFree) => {
        client.write(bytes)
        if (isFree) release()
      }
      server.socket.write(chunk)
    }
    client.on('data', chunk => {
      // The client's farewell is not the server's business.
      if (chunk[0] === TERMINATE && chunk.length === 5) return void client.end()
      if (!hasStarted) {
        server = openServer(url)
        sockets.add(server.socket)
        hasStarted = true
      }
      send(chunk)
    })
  })
  return await listen(listener, sockets, target)
}

/**
 * Puts a proxy in front of a database that keeps notifications to itself.
 *
 * @returns the database's URL by way of it
 */
export async function createDeafProxy(target: string): Promise<string> {
  const sockets = new Set<Socket>()
  const listener = createServer(client => {
    const server = openServer(new URL(target))
    server.deliver = (bytes, _isFree, isNotification) => void (isNotification || client.write(bytes))
    sockets.add(client.on('error', () => {})).add(server.socket)
    client.pipe(server.socket)
  })
  return await listen(listener, sockets, target)
}

async function listen(listener: Listener, sockets: ReadonlySet<Socket>, target: string): Promise<string> {
  await new Promise<void>(resolve => listener.listen(0, '127.0.0.1', resolve))
  onceDone(() => {
    listener.close()
    for (const socket of sockets) socket.destroy()
  })
  const { port } = listener.address() as { port: number }
  return Object.assign(new URL(target), { host: `127.0.0.1:${port}` }).href
}

interface Server {
  readonly socket: Socket
  /** Takes a message of the server's: whether it is free of a transaction after that, whether it is a notification. */
  deliver(bytes: Buffer, isFree: boolean, isNotification: boolean): void
}

/** Cuts what a server says into messages, to know when it is free. */
function openServer(url: URL): Server {
  const socket = connect({ port: Number(url.port), host: url.hostname })
  const server: Server = { socket, deliver: () => {} }
  let rest = Buffer.alloc(0)
  socket.on('error', () => {})
  socket.on('data', chunk => {
    rest = Buffer.concat([rest, chunk])
    while (rest.length >= 5 && rest.length > rest.readInt32BE(1)) {
      const message = rest.subarray(0, 1 + rest.readInt32BE(1))
      rest = rest.subarray(message.length)
      server.deliver(message, message[0] === READY_FOR_QUERY && message[5] === IDLE, message[0] === NOTIFICATION)
    }
  })
  return server
}

const TERMINATE = 'X'.charCodeAt(0)
const READY_FOR_QUERY = 'Z'.charCodeAt(0)
const NOTIFICATION = 'A'.charCodeAt(0)
const IDLE = 'I'.charCodeAt(0)
