import { Socket } from 'node:net'

/** The sockets of a client, so that those whose peer is gone without a word can be closed: neither driver does that. */
export interface Sockets {
  /** A socket that is not connected yet. */
  create(): Socket
  /** Closes all of them, whatever is under way, and each that is made later: a driver may be about to connect anew. */
  destroy(): void
}

/** Keeps account of sockets as long as they are open. */
export function createSockets(): Sockets {
  const open = new Set<Socket>()
  let isDestroyed = false
  return {
    create() {
      // Not by an event: TLS takes all listeners off the socket that it takes over.
      for (const old of open) if (old.destroyed) open.delete(old)
      const socket = new Socket()
      if (isDestroyed) setImmediate(() => socket.destroy())
      else open.add(socket)
      return socket
    },
    destroy() {
      isDestroyed = true
      for (const socket of open) socket.destroy()
    }
  }
}

/**
 * As the driver would connect by itself: to one host after the other. It may write before the connection is there, and
 * looks after the time limit.
 */
export function connectSockets(sockets: Sockets): (options: ParsedOptions) => Socket {
  let attempts = 0
  return ({ host, port, path }) => {
    const socket = sockets.create()
    const index = attempts++ % host.length
    if (path) return socket.connect({ path })
    const server = { host: host[index], port: port[index] ?? 5432 }
    // The driver takes the server's name for TLS from the socket.
    return Object.assign(socket, server).connect(server)
  }
}

/** What the driver makes of its options. */
interface ParsedOptions {
  readonly host: readonly string[]
  readonly port: readonly number[]
  readonly path?: string | false
}
