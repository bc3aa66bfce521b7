import type { Sql } from 'postgres'
import { createPool, type PoolOptions } from '../database/connections/pool.ts'
import { withoutConflicts } from '../database/connections/repeat.ts'
import { openSession, type Session } from '../database/connections/session.ts'
import { reasonOf } from '../database/connections/transaction.ts'
import { connect } from '../database/open.ts'
import { connectionTimings } from '../rules/timings.ts'
import type { Connections, Execute } from '../sql/statement.ts'

/** The connections for the worker's own statements, so that these never wait behind those of the engine. */
export interface OwnConnections extends Connections {
  /** Connections of another name, for a purpose of their own. */
  open(name: string, max: number, options?: PoolOptions): OwnPool
  /** A session that looks whether others hang. */
  probe(): Session
  /** Closes all connections, and fails the work on them: others were found to hang. */
  replace(): void
  end(): Promise<void>
}

/** See {@linkcode OwnConnections}. */
export type OwnPool = Omit<OwnConnections, 'open' | 'probe'>

/**
 * Connects when it is first used. A connection that is lost, or that hangs, is replaced.
 *
 * Statements are not prepared. Otherwise the server could keep a plan that it made while the table of jobs was empty,
 * and later read the whole table.
 */
export function openOwnConnections(database: { readonly url: string | undefined }): OwnConnections {
  const template = connect(database, { max: 1, prepare: false, name: 'kretes worker control' })
  return {
    ...createOwnPool(template, 2),
    open: (name, max, options) => createOwnPool(template, max, { ...options, name }),
    probe: () => openSession(template, { name: 'kretes probe' })
  }
}

function createOwnPool(template: Sql, max: number, options?: PoolOptions): OwnPool {
  const pool = createPool(template, max, options)

  async function transact<Result>(work: (execute: Execute) => Promise<Result>): Promise<Result> {
    try {
      return await pool.transact(work)
    } catch (error) {
      throw reasonOf(error)
    }
  }

  async function end(): Promise<void> {
    const timer = setTimeout(pool.replace, connectionTimings.closeMs)
    await pool.end()
    clearTimeout(timer)
  }

  return { execute: withoutConflicts(pool).execute, transact, replace: pool.replace, end }
}
