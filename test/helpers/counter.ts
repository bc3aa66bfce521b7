import { connect, createServer } from 'node:net'
import { onceDone } from './cleanup.ts'

/** A proxy that counts what the client sends, or the part of it that holds a text. */
export async function createCounter(
  target: string,
  text = ''
): Promise<{ readonly url: string; readonly packets: number }> {
  const { hostname, port } = new URL(target)
  let packets = 0
  const listener = createServer(client => {
    const server = connect(Number(port), hostname)
    client.on('data', data => data.includes(text) && packets++)
    client.pipe(server).pipe(client)
    for (const socket of [client, server]) socket.on('error', () => {})
  })
  await new Promise<void>(resolve => listener.listen(0, '127.0.0.1', resolve))
  onceDone(() => listener.close())
  const { port: own } = listener.address() as { port: number }
  return {
    url: Object.assign(new URL(target), { port: String(own) }).href,
    get packets() {
      return packets
    }
  }
}
