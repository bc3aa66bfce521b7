import { type Execute, statement } from '../statement.ts'

/** The statements that the server's backends run now. */
export interface Activity {
  /** Which of them carries out this statement. */
  readonly own: number
  /** Those that carry out a statement, slowly or waiting for a lock, with its text or the beginning of it. */
  readonly working: readonly { readonly backend: number; readonly text: string }[]
}

/** Looks at the backends of this user. Those that may not be looked at pass for working. */
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
