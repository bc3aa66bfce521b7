import type { Socket } from 'node:net'
import postgres, { type Options, type Sql } from 'postgres'
import { afterTicks } from '../../async/ticks.ts'
import { connectionTimings } from '../../rules/timings.ts'
import { introduceStatement, SETTINGS, type Settings } from '../../sql/database/settings.ts'
import { isOutcomeUnknown } from '../failure.ts'
import { clientEnded, connectSockets, createSockets } from './sockets.ts'

/** A connection of the driver that never reconnects. */
export interface Connection {
  readonly driver: Sql
  readonly isLost: boolean
  /** Treats the connection as lost. */
  lose(error: unknown): void
  /** Loses the connection if no server answers in time. To be called before a statement is sent. */
  expectServer(): void
  /**
   * Returns the error that a statement failed with. Unless that error is an answer of the server, the connection is lost
   * even if its socket is still open: for the next statement the driver would reconnect.
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
  /**
   * Whether statements are prepared by name.
   *
   * @default as the client does
   */
  readonly prepare?: boolean
  /** Settings that the session states. The others are the server's. */
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
    // A connection is never made anew, so the driver's pause before that would only keep the process alive.
    backoff: () => 0,
    ...(prepare !== undefined && { prepare }),
    ...(name !== undefined && { connection: { ...client.options.connection, application_name: name } }),
    socket(options: never) {
      if (isLost || sockets.areDestroyed) throw clientEnded()
      socket = createSocket(options)
      return socket
    },
    // The driver calls `onparameter` only for parameters with a new value. This connection therefore starts with none.
    // With a copy of another session's parameters, the server's first answer would seem to change nothing, and go
    // unnoticed.
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

  /** The driver converts the parameters when it sends them. Only then are the backend and the port known. */
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
    // Nothing is sent before the connection is established, so it is certain that nothing has happened.
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
      // The driver retries for ever where connections are accepted and closed, as by a proxy without a server.
      if (!isIntroduced) introduce()
      if (!isEstablished) deadline ??= afterTicks(connectionTimings.connectTicks, () => lose(connectTimeout()))
    },
    judge,
    async end() {
      clearInterval(deadline)
      await driver.end({ timeout: isEstablished && !isLost ? 5 : 0 })
      // The socket of a peer that has vanished would keep the process alive.
      sockets.destroy()
    }
  }
}

/** Whether an error is an answer of the server, so that the connection is still usable. */
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

/** The error of statements that wait for an answer when the connection closes. */
export function connectionClosed(): Error {
  return Object.assign(new Error('The connection was closed before the answer came'), { code: 'CONNECTION_CLOSED' })
}
