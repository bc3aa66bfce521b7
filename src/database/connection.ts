import type { Socket } from 'node:net'
import postgres, { type Options, type Sql } from 'postgres'
import { introduceStatement, SETTINGS, type Settings } from '../sql/database/settings.ts'
import { isOutcomeUnknown } from './failure.ts'
import { clientEnded, connectSockets, createSockets } from './sockets.ts'

/** A connection that never reconnects. */
export interface Connection {
  readonly driver: Sql
  readonly isLost: boolean
  /** Marks the connection as lost. */
  lose(error: unknown): void
  /** Marks the connection as lost if no server answers in time. Call before each statement. */
  expectServer(): void
  /**
   * Returns the error with which a statement failed. Unless the error is an answer of the server, the connection is
   * lost, though it may not have closed yet. The driver would reconnect for a statement that comes before it closes,
   * and no code would end that connection.
   */
  judge(error: unknown): unknown
  end(): Promise<void>
}

/** A statement of the driver. */
export interface Running extends Promise<unknown> {
  readonly state?: { readonly pid: number | null }
  cancel(): void
}

/** The options of {@linkcode openConnection}. */
export interface ConnectionOptions {
  readonly name?: string
  /** Whether to use named prepared statements. By default as the client does. */
  readonly prepare?: boolean
  /** The session settings to apply. All other settings are the server's. */
  readonly settings?: Settings
  onNotice?(payload: string): void
  onLost(error: unknown): void
}

/** Creates a connection with the options of a client. It connects on first use. */
export function openConnection(client: Sql, options: ConnectionOptions): Connection {
  const { name, prepare, settings = SETTINGS, onNotice, onLost } = options
  let isLost = false
  let isEstablished = false
  let isIntroduced = false
  let socket: { readonly localPort?: number } | undefined
  let deadline: ReturnType<typeof setInterval> | undefined
  const sockets = createSockets()
  const given: unknown = 'socket' in client.options && client.options.socket
  const createSocket = (given || connectSockets(sockets)) as (options: never) => Socket
  const driver = postgres({
    ...client.options,
    max: 1,
    idle_timeout: null,
    max_lifetime: null,
    fetch_types: false,
    ...(prepare !== undefined && { prepare }),
    ...(name !== undefined && { connection: { ...client.options.connection, application_name: name } }),
    socket(options: never) {
      if (isLost || sockets.areDestroyed) throw clientEnded()
      socket = createSocket(options)
      return socket
    },
    // A new object, since the driver reports only changed parameters. With a shared one, a second connection would
    // report none and never count as established.
    parameters: {},
    onparameter: () => {
      isEstablished = true
      clearInterval(deadline)
    },
    onnotify: onNotice && ((_channel: string, payload: string) => onNotice(payload)),
    onclose: () => lose(isEstablished ? connectionClosed() : noConnection(connectionClosed()))
  } as unknown as Options<Record<string, never>>)

  function lose(error: unknown): void {
    if (isLost) return
    isLost = true
    clearInterval(deadline)
    onLost(error)
  }

  /** Both values are known only when the driver sends the statement. It calls `toString` at that moment. */
  function introduce(): void {
    isIntroduced = true
    const { text } = introduceStatement(settings)
    const backend = { toString: () => String(query.state?.pid ?? '') }
    const port = { toString: () => String(socket?.localPort ?? '') }
    const query = driver.unsafe(text, [backend, port] as never[]) as unknown as Running
    query.catch(judge)
  }

  function judge(error: unknown): unknown {
    if (isAnswer(error) && isEstablished) return error
    // Nothing is sent before the connection is established, so the statement has certainly not run.
    const reason = !isEstablished && isOutcomeUnknown(error) ? noConnection(error) : error
    lose(reason)
    return reason
  }

  return {
    driver,
    get isLost() {
      return isLost
    },
    lose,
    expectServer() {
      // A proxy without a server accepts connections and closes them. The driver would try again for ever.
      if (!isIntroduced) introduce()
      if (!isEstablished) deadline ??= afterTicks(CONNECT_TIMEOUT_MS / 1_000, () => lose(connectTimeout()))
    },
    judge,
    async end() {
      clearInterval(deadline)
      await driver.end({ timeout: isEstablished && !isLost ? 5 : 0 })
      // If the peer is gone without notice, the socket would stay open and keep the process running.
      sockets.destroy()
    }
  }
}

/** Counts seconds in which the event loop ran. A blocked event loop does not read answers that have arrived. */
export function afterTicks(ticks: number, callback: () => void): ReturnType<typeof setInterval> {
  let left = ticks
  return setInterval(() => {
    if (--left === 0) callback()
  }, 1_000)
}

/** Whether an error is an answer of the server, so that the connection still works. */
export function isAnswer(error: unknown): boolean {
  return typeof error === 'object' && error !== null && 'severity' in error
}

/** The error when no server has answered in time. */
export function connectTimeout(): Error {
  return Object.assign(new Error('No server answered in time'), { code: 'CONNECT_TIMEOUT' })
}

function noConnection(cause: unknown): Error {
  return Object.assign(new Error('The connection broke before it was made', { cause }), { code: 'NO_CONNECTION' })
}

/** The error of statements on a connection that is lost, as {@linkcode Connection.isLost} says. */
export function connectionClosed(): Error {
  return Object.assign(new Error('The connection was closed before the answer came'), { code: 'CONNECTION_CLOSED' })
}

/** A little longer than the driver's own timeout, which does not run while the driver tries again. */
export const CONNECT_TIMEOUT_MS = 12_000
