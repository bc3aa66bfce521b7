import type pg from 'pg'
import { readOnly } from '../../database/failure.ts'
import {
  type Introduction,
  introduceStatement,
  isReadOnlyStatement,
  WORKER_SETTINGS
} from '../../sql/database/settings.ts'

/** All that the worker knows of the inside of node-postgres, whose types leave these parts out. */
interface Inside {
  readonly processID: number | null
  readonly connection: pg.Connection
}

/**
 * Closes a connection whose peer may not answer. A goodbye would not be answered either, and a client that has said it
 * tells nobody when its connection ends.
 */
export function sever(client: object): void {
  inside(client).connection.stream.destroy()
}

/**
 * Prepares a new connection: states the settings that the worker relies on and asks which backend serves it, which behind
 * a pooler the driver does not know.
 *
 * @throws if the server only reads: nothing can listen there, and the session may not notice when it writes again
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

/** The backend of a connection as the driver knows it, and the port at this end. */
function endsOf(client: pg.ClientBase): string[] {
  const { processID, connection } = inside(client)
  const { localPort } = connection.stream as { localPort?: number }
  return [processID, localPort].map(part => String(part ?? ''))
}

function inside(client: object): Inside {
  return client as Inside
}
