import { type Execute, statement } from '../statement.ts'

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

/** Reads the activity of this user's backends. A backend that hides its activity counts as working. */
export async function readActivity(execute: Execute): Promise<Activity> {
  const rows = await execute<{ pid: string; own: string; text: string }>(statement`
    select pid::text as pid, pg_backend_pid()::text as own, coalesce(query, '') as text
    from pg_stat_activity
    where pid = pg_backend_pid()
      or (usename = session_user and coalesce(state, 'disabled') in ('active', 'disabled'))`)
  return {
    own: Number(rows[0]?.own),
    working: rows.filter(({ pid, own }) => pid !== own).map(({ pid, text }) => ({ backend: Number(pid), text }))
  }
}
