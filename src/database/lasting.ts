import type { Sql } from 'postgres'
import { withoutDeadlock } from './deadlock.ts'
import { isReadOnly } from './failure.ts'
import { createSockets, type Sockets } from './sockets.ts'

/** A client, and a way to have it connect anew. */
export interface Lasting {
  readonly sql: Sql
  /** Replaces its connections: others on the same way were found to hang. */
  replace(): void
}

/**
 * A client that outlives a network which hangs without closing. An answer that does not come is no error to the driver,
 * and what waits for it waits for ever; here the connections are then replaced, and whoever waited gets an error.
 *
 * It connects anew, too, when a server only reads: another may have taken over.
 *
 * Meant for short statements. One that waits for a lock is taken for hung, too; so that its like do not pile up at the
 * server, the patience doubles each time, and is back to normal after a while without.
 *
 * @param open makes a client on sockets of these
 * @param onHung called when an answer did not come
 */
export function connectLasting(open: (sockets: Sockets) => Sql, onHung?: () => void): Lasting {
  let sockets = createSockets()
  let current = open(sockets)
  let patienceMs = PATIENCE_MS
  let replacedMs = Number.NEGATIVE_INFINITY
  let isEnded = false

  function replace(): void {
    if (isEnded) return
    const [hung, hungSockets] = [current, sockets]
    sockets = createSockets()
    current = open(sockets)
    close(hung, hungSockets, 0)
  }

  function giveUpOn(hung: Sql): void {
    if (hung !== current || isEnded) return
    const nowMs = performance.now()
    patienceMs = nowMs - replacedMs < FORGIVEN_AFTER_MS ? patienceMs * 2 : PATIENCE_MS
    replacedMs = nowMs
    replace()
    onHung?.()
  }

  async function close(client: Sql, its: Sockets, timeout: number): Promise<void> {
    await client.end({ timeout }).catch(() => {})
    its.destroy()
  }

  async function watch<Result>(work: PromiseLike<Result>): Promise<Result> {
    const client = current
    const timer = setTimeout(() => giveUpOn(client), patienceMs)
    try {
      return await work
    } catch (error) {
      if (client === current && isReadOnly(error)) replace()
      throw error
    } finally {
      clearTimeout(timer)
    }
  }

  /** A statement runs when it is awaited, and never if it is but a part of another. */
  function watchWhenAwaited(query: Promise<unknown>, again: () => Promise<unknown>): Promise<unknown> {
    const run: Promise<unknown>['then'] = query.then.bind(query)
    let watched: Promise<unknown> | undefined
    // biome-ignore lint/suspicious/noThenProperty: it is one already
    query.then = (onFulfilled, onRejected) => {
      let isFirst = true
      watched ??= watch(
        withoutDeadlock(() => {
          if (!isFirst) return again()
          isFirst = false
          return new Promise((resolve, reject) => void run(resolve, reject))
        })
      )
      return watched.then(onFulfilled, onRejected)
    }
    return query
  }

  const sql = new Proxy(current, {
    apply(_target, _this, args: Parameters<Sql>) {
      const result: unknown = current(...args)
      const isStatement = Array.isArray(args[0]) && 'raw' in args[0]
      const again = async (): Promise<unknown> => await (current(...args) as Promise<unknown>)
      return isStatement ? watchWhenAwaited(result as Promise<unknown>, again) : result
    },
    get(_target, name) {
      if (name === 'begin') return (...args: [never]) => watch(current.begin(...args))
      if (name === 'end') {
        return ({ timeout = 5 }: { timeout?: number } = {}) => {
          isEnded = true
          return close(current, sockets, timeout)
        }
      }
      return Reflect.get(current, name)
    }
  })
  return { sql, replace }
}

const PATIENCE_MS = 10_000
const FORGIVEN_AFTER_MS = 60_000
