import type { Sql } from 'postgres'

/** What the single-user backend is told once, when the cluster is made. A line is a statement. */
export const createEmbeddedDatabase = 'create database kretes\n'

/** Marks the session as one that uses the server; refused while somebody is about to stop it. */
export async function enterServer(session: Sql): Promise<boolean> {
  const [row] = await session<{ entered: boolean }[]>`select pg_try_advisory_lock_shared(${PRESENCE}) as entered`
  return row?.entered ?? false
}

/** Takes the mark away, and shuts the door if no other session bears one. */
export async function leaveServer(session: Sql): Promise<boolean> {
  await session`select pg_advisory_unlock_shared(${PRESENCE})`
  const [row] = await session<{ closed: boolean }[]>`select pg_try_advisory_lock(${PRESENCE}) as closed`
  return row?.closed ?? false
}

/** Opens the door again. */
export async function reopenServer(session: Sql): Promise<void> {
  await session`select pg_advisory_unlock(${PRESENCE})`
}

/** Whether sessions of kretes are there besides those that bear the mark, which answer to the lock. */
export async function isServerUsed(session: Sql, markedName: string): Promise<boolean> {
  const [row] = await session<{ used: boolean }[]>`
    select exists (
      select from pg_stat_activity
      where application_name like 'kretes%' and application_name <> ${markedName} and pid <> pg_backend_pid()
    ) as used`
  return row?.used ?? false
}

/** Any number that nobody else is likely to lock. As text, since it is a bigint. */
const PRESENCE = '7381240596318827'
