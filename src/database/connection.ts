import type { Socket } from 'node:net'
import postgres, { type Options, type Sql } from 'postgres'
import { introduceStatement, SETTINGS, type Settings } from '../sql/database/settings.ts'
import { isOutcomeUnknown } from './failure.ts'
import { clientEnded, connectSockets, createSockets } from './sockets.ts'

/** A connection that is never made anew. */
export interface Connection {
  readonly driver: Sql
  readonly isLost: boolean
  /** Takes the connection for lost. */
  lose(error: unknown): void
  /** The same if no server answers in time. Comes before the first statement. */
  expectServer(): void
  /**
   * Returns what a statement failed with. Unless the server has answered so, the connection is lost, though it may not
   * have closed yet: for a statement that comes in between the driver connects anew, and nobody ends that connection.
   */
  judge(error: unknown): unknown
  end(): Promise<void>
}

/** A statement as the driver has it. */
export interface Running extends Promise<unknown> {
  readonly state?: { readonly pid: number | null }
  cancel(): void
}

/** The options of {@linkcode openConnection}. */
export interface ConnectionOptions {
  readonly name?: string
  /** Whether statements are prepared by name; without, as the client does. */
  readonly prepare?: boolean
  /** Its settings, besides which it has the server's. */
  readonly settings?: Settings
  onNotice?(payload: string): void
  onLost(error: unknown): void
}

/** Opens a connection with the options of a client. It connects when first used. */
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
    // What the server has told one session is else no news from the next, and it would never count as established.
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

  /** The driver writes the parameters when it sends them: before, neither is known. */
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
    // Before it is there nothing is sent: it was refused, or however it broke, it is certain what has happened.
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
      // The driver tries for ever where somebody takes connections and closes them, as a proxy without a server does.
      if (!isIntroduced) introduce()
      if (!isEstablished) deadline ??= afterTicks(CONNECT_TIMEOUT_MS / 1_000, () => lose(connectTimeout()))
    },
    judge,
    async end() {
      clearInterval(deadline)
      await driver.end({ timeout: isEstablished && !isLost ? 5 : 0 })
      // A peer that is gone without a word would keep the socket, and that the process.
      sockets.destroy()
    }
  }
}

/** Counts seconds in which the event loop turned: one that a task blocked has not heard answers that are there. */
export function afterTicks(ticks: number, callback: () => void): ReturnType<typeof setInterval> {
  let left = ticks
  return setInterval(() => {
    if (--left === 0) callback()
  }, 1_000)
}

/** Whether the server has answered, so that the connection is as good as before. */
export function isAnswer(error: unknown): boolean {
  return typeof error === 'object' && error !== null && 'severity' in error
}

/** No server has answered in time. */
export function connectTimeout(): Error {
  return Object.assign(new Error('No server answered in time'), { code: 'CONNECT_TIMEOUT' })
}

function noConnection(cause: unknown): Error {
  return Object.assign(new Error('The connection broke before it was made', { cause }), { code: 'NO_CONNECTION' })
}

/** See {@linkcode Connection.isLost}. */
export function connectionClosed(): Error {
  return Object.assign(new Error('The connection was closed before the answer came'), { code: 'CONNECTION_CLOSED' })
}

/** A little more than the driver's own, which does not run while it tries anew. */
export const CONNECT_TIMEOUT_MS = 12_000
