import type { ClientBase } from 'pg'
import { readOnly } from '../database/failure.ts'
import { isReadOnlyStatement } from '../sql/database/settings.ts'

/**
 * Refuses a connection to a server that only reads: nobody could listen there either, and a session may not notice that
 * the server writes again.
 */
export async function refuseReadOnly(client: ClientBase, timeoutMs: number): Promise<void> {
  const statement = { text: isReadOnlyStatement.text, query_timeout: timeoutMs }
  const { rows } = await client.query<{ is_read_only: boolean }>(statement)
  if (rows[0]?.is_read_only) throw readOnly()
}
