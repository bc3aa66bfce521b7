import { Socket } from 'node:net'

/** The sockets of a client, so that those whose peer is gone without a word can be closed: neither driver does that. */
export interface Sockets {
  /** A socket that is not connected yet. */
  create(): Socket
  /** Whether `destroy` was called. */
  readonly areDestroyed: boolean
  /** Closes all of them at once. Sockets that are created later close, too. */
  destroy(): void
}

/** Keeps account of sockets as long as they are open. */
export function createSockets(): Sockets {
  const open = new Set<Socket>()
  let areDestroyed = false
  return {
    get areDestroyed() {
      return areDestroyed
    },
    create() {
      // Not by an event: TLS takes all listeners off the socket that it takes over.
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
 * As the driver would connect by itself: to one host after the other. It may write before the connection is there, and
 * looks after the time limit.
 *
 * Throws once the sockets are destroyed. When a connection is refused while a statement waits in its queue, the driver
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
    // The driver takes the server's name for TLS from the socket.
    return Object.assign(socket, server).connect(server)
  }
}

/** What a client that has ended throws when it is to connect. */
export function clientEnded(): Error {
  return Object.assign(new Error('The client has ended'), { code: 'CONNECTION_ENDED' })
}

/** What the driver makes of its options. */
interface ParsedOptions {
  readonly host: readonly string[]
  readonly port: readonly number[]
  readonly path?: string | false
}
