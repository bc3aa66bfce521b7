import { Socket } from 'node:net'

/** The sockets of a client. Neither driver closes a socket whose peer is gone without notice; `destroy` closes all. */
export interface Sockets {
  /** A socket that is not connected yet. */
  create(): Socket
  /** Whether `destroy` was called. */
  readonly areDestroyed: boolean
  /** Closes all sockets at once, and those that are created later. */
  destroy(): void
}

/** Creates a list of open sockets. */
export function createSockets(): Sockets {
  const open = new Set<Socket>()
  let areDestroyed = false
  return {
    get areDestroyed() {
      return areDestroyed
    },
    create() {
      // An event would not do: TLS removes all listeners from the socket that it takes over.
      for (const old of open) if (old.destroyed) open.delete(old)
      const socket = new Socket()
      if (areDestroyed) setImmediate(() => socket.destroy())
      else open.add(socket)
      return socket
    },
    destroy() {
      areDestroyed = true
      for (const socket of open) socket.destroy()
    }
  }
}

/**
 * Connects like the driver: to one host after the other. The driver may write before the socket is connected, and
 * enforces the time limit.
 *
 * Throws after the sockets are destroyed. When a connection is refused while a statement waits in its queue, the driver
 * (postgres 3.4.9) connects again even after its end, and the process would never exit.
 */
export function connectSockets(sockets: Sockets): (options: ParsedOptions) => Socket {
  let attempts = 0
  return ({ host, port, path }) => {
    if (sockets.areDestroyed) throw clientEnded()
    const socket = sockets.create()
    const index = attempts++ % host.length
    if (path) return socket.connect({ path })
    const server = { host: host[index], port: port[index] ?? 5432 }
    // The driver reads the server's name for TLS from the socket.
    return Object.assign(socket, server).connect(server)
  }
}

/** The error of a client that has ended and is asked to connect. */
export function clientEnded(): Error {
  return Object.assign(new Error('The client has ended'), { code: 'CONNECTION_ENDED' })
}

/** The driver's options after parsing. */
interface ParsedOptions {
  readonly host: readonly string[]
  readonly port: readonly number[]
  readonly path?: string | false
}
