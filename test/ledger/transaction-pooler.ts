import { connect, createServer, type Socket } from 'node:net'
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
  /** Takes what the server says, and whether it is free of a transaction after that. */
  deliver(bytes: Buffer, isFree: boolean): void
}

/** Cuts what a server says into messages, to know when it is free. */
function openServer(url: URL): Server {
  const socket = connect({ port: Number(url.port), host: url.hostname })
  const server: Server = { socket, deliver: () => {} }
  let rest = Buffer.alloc(0)
  socket.on('error', () => {})
  socket.on('data', chunk => {
    rest = Buffer.concat([rest, chunk])
    let end = 0
    let isFree = false
    while (rest.length >= end + 5 && rest.length >= end + 1 + rest.readInt32BE(end + 1)) {
      isFree = rest[end] === READY_FOR_QUERY && rest[end + 5] === IDLE
      end += 1 + rest.readInt32BE(end + 1)
    }
    const bytes = rest.subarray(0, end)
    rest = rest.subarray(end)
    if (bytes.length > 0) server.deliver(bytes, isFree)
  })
  return server
}

const TERMINATE = 'X'.charCodeAt(0)
const READY_FOR_QUERY = 'Z'.charCodeAt(0)
const IDLE = 'I'.charCodeAt(0)
