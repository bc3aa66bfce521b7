import { Socket } from 'node:net'

/** The sockets of a client, so that those whose peer is gone without a word can be closed: neither driver does that. */
export interface Sockets {
  /** A socket that is not connected yet. */
  create(): Socket
  /** Closes all of them, whatever is under way. */
  destroy(): void
}

/** Keeps account of sockets as long as they are open. */
export function createSockets(): Sockets {
  const open = new Set<Socket>()
  return {
    create() {
      // Not by an event: TLS takes all listeners off the socket that it takes over.
      for (const old of open) if (old.destroyed) open.delete(old)
      const socket = new Socket()
      open.add(socket)
      return socket
    },
    destroy() {
      for (const socket of open) socket.destroy()
    }
  }
}
