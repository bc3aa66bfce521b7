import type pg from 'pg'
import { readOnly } from '../../database/failure.ts'
import {
  type Introduction,
  introduceStatement,
  isReadOnlyStatement,
  WORKER_SETTINGS
} from '../../sql/database/settings.ts'

/** The private parts of node-postgres that the worker uses; its types leave them out. */
interface ClientInternals {
  readonly processID: number | null
  readonly connection: pg.Connection
}

/**
 * Closes a connection at once, for a server that may not answer. `end()` would wait for the server, and a client that
 * is ending emits no event when its connection closes.
 */
export function sever(client: object): void {
  internalsOf(client).connection.stream.destroy()
}

/**
 * Prepares a new connection: applies the settings that the worker relies on, and asks which backend serves it. Behind a
 * pooler the driver does not know the backend.
 *
 * @throws if the server is read-only: `LISTEN` fails there, and the session may stay read-only when the server is not
 */
export async function introduce(client: pg.ClientBase, timeoutMs: number): Promise<Introduction | undefined> {
  const isReadOnly = { text: isReadOnlyStatement.text, query_timeout: timeoutMs }
  const answer = await client.query<{ is_read_only: boolean }>(isReadOnly)
  if (answer.rows[0]?.is_read_only) throw readOnly()
  const { text } = introduceStatement(WORKER_SETTINGS)
  const statement = { text, values: endsOf(client), query_timeout: timeoutMs }
  const { rows } = await client.query<Introduction>(statement)
  return rows[0]
}

/** The backend of a connection as the driver knows it, and the local port. */
function endsOf(client: pg.ClientBase): string[] {
  const { processID, connection } = internalsOf(client)
  const { localPort } = connection.stream as { localPort?: number }
  return [processID, localPort].map(part => String(part ?? ''))
}

function internalsOf(client: object): ClientInternals {
  return client as ClientInternals
}
