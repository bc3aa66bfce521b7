import { connect, createServer, type Socket } from 'node:net'
import { onceDone } from '../helpers/cleanup.ts'

/** A TCP proxy in front of a database. */
export interface Proxy {
  /** The database's URL by way of the proxy. */
  readonly url: string
  /**
   * Stops forwarding on the connections there are, and closes none. New ones work. Returns how many hang.
   *
   * @param serverPort the port by which the server knows the only connection that is to hang
   */
  hang(serverPort?: number): number
  /** How many connections there have been. */
  accepted(): number
  /** How many of the hanging connections their client still uses. */
  hanging(): number
}

/** Puts a proxy in front of a database. */
export async function createProxy(target: string): Promise<Proxy> {
  const url = new URL(target)
  const pairs = new Set<{ client: Socket; server: Socket }>()
  const hung = new Set<Socket>()
  let accepted = 0
  const listener = createServer({ allowHalfOpen: true }, client => {
    accepted++
    const server = connect({ port: Number(url.port), host: url.hostname, allowHalfOpen: true })
    const pair = { client, server }
    pairs.add(pair)
    client.pipe(server)
    server.pipe(client)
    const end = (): void => {
      pairs.delete(pair)
      hung.delete(client)
      client.destroy()
      // While it hangs, the server is told nothing of its client's end.
      if (!stuck.has(server)) server.destroy()
    }
    for (const socket of [client, server]) socket.on('error', end).on('close', end)
    // A client that has said goodbye has replaced the connection; that it is not answered is the fault.
    client.on('end', () => {
      if (hung.delete(client)) pairs.delete(pair)
    })
  })
  const stuck = new Set<Socket>()
  await new Promise<void>(resolve => listener.listen(0, '127.0.0.1', resolve))
  onceDone(() => {
    listener.close()
    for (const { client, server } of pairs) for (const socket of [client, server]) socket.destroy()
    for (const server of stuck) server.destroy()
  })
  const { port } = listener.address() as { port: number }
  return {
    url: Object.assign(new URL(target), { host: `127.0.0.1:${port}` }).href,
    hang(serverPort) {
      for (const { client, server } of pairs) {
        if (hung.has(client) || (serverPort !== undefined && server.localPort !== serverPort)) continue
        client.unpipe(server)
        server.unpipe(client)
        // Read on, so that the kernel goes on acknowledging and only the silence tells.
        client.resume()
        server.resume()
        hung.add(client)
        stuck.add(server)
      }
      return hung.size
    },
    accepted: () => accepted,
    hanging: () => hung.size
  }
}
