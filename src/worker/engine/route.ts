import type { Pool, PoolConfig } from 'pg'
import type { PgOptions } from '../../database/address/drivers.ts'

/** The way to a server: node-postgres knows one host only, and whether it insists on TLS. */
export interface Route {
  /** Has a pool take another way after it could not connect; false if there is none that was not tried. */
  turn(pool: Pool, error: unknown, tries: number): boolean
}

/** Goes from one server to the next, and does without TLS where a server has none and need not. */
export function createRoute(servers: readonly PgOptions[]): Route {
  let current = 0
  return {
    turn(pool, error, tries) {
      // The types of pg leave it out.
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

/** What pg says then; it has no code. */
const NO_TLS = /does not support SSL/
