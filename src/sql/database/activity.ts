import { type Execute, statement, textArray } from '../statement.ts'

/** The statements that the server's backends run now. */
export interface Activity {
  /** The process id of the backend that runs this query. */
  readonly own: number
  /**
   * The other backends that run a statement or wait for a lock, each with the text of the statement. The server may cut
   * a long text.
   */
  readonly working: readonly { readonly backend: number; readonly text: string }[]
}

/**
 * Reads the activity of this user's backends. A backend that hides its activity counts as working. A backend that waits
 * for the rest of a message from its client does not.
 */
export async function readActivity(execute: Execute): Promise<Activity> {
  const rows = await execute<{ pid: string; own: string; text: string }>(statement`
    select pid::text as pid, pg_backend_pid()::text as own, coalesce(query, '') as text
    from pg_stat_activity
    where pid = pg_backend_pid()
      or (
        usename = session_user
        and backend_type = 'client backend'
        and coalesce(state, 'disabled') in ('active', 'disabled')
        and wait_event is distinct from 'ClientRead'
      )`)
  return {
    own: Number(rows[0]?.own),
    working: rows.filter(({ pid, own }) => pid !== own).map(({ pid, text }) => ({ backend: Number(pid), text }))
  }
}

/**
 * Ends backends of this user, with their transactions and locks, unless they work on a statement.
 *
 * @param own the process id of the backend that this session must still have. Otherwise there is a pooler, and the
 * backends may serve other clients.
 */
export async function endIdleBackends(execute: Execute, own: number, backends: readonly number[]): Promise<void> {
  await execute(statement`
    select pg_terminate_backend(pid)
    from pg_stat_activity
    where pid = any(${textArray(backends)}::text::int[]) and usename = session_user
      and (state <> 'active' or wait_event = 'ClientRead') and pg_backend_pid() = ${own}::text::int`)
}
