import type { Pool, PoolConfig } from 'pg'
import type { PgOptions } from '../../database/address/drivers.ts'

/** Chooses the server of a pool, and whether to use TLS. node-postgres knows only one host and one TLS setting. */
export interface Route {
  /** Makes a pool try the next option after it could not connect. Returns false if all servers were tried. */
  turn(pool: Pool, error: unknown, tries: number): boolean
}

/** Creates a route that tries one server after the other, without TLS where a server has none and TLS is optional. */
export function createRoute(servers: readonly PgOptions[]): Route {
  let current = 0
  return {
    turn(pool, error, tries) {
      // The types of pg leave out `options`.
      const { options } = pool as unknown as { options: PoolConfig }
      if (options.ssl && servers[0]?.isTlsOptional && error instanceof Error && NO_TLS.test(error.message)) {
        options.ssl = false
        return true
      }
      current = (current + 1) % servers.length
      const { host, port } = servers[current] ?? {}
      Object.assign(options, { host, port })
      return tries < servers.length
    }
  }
}

/** The message of pg's error, which has no code. */
const NO_TLS = /does not support SSL/
