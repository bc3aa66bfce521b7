import { type Execute, type Fragment, statement } from '../statement.ts'

/** What the single-user backend is told once, when the cluster is made. A line is a statement. */
export const createEmbeddedDatabase = 'create database kretes\n'

/** Marks the session as one that uses the server; refused while the server is about to stop. */
export async function enterServer(execute: Execute): Promise<boolean> {
  const [row] = await execute<{ entered: boolean }>(
    statement`select pg_try_advisory_lock_shared(${PRESENCE}) as entered`
  )
  return row?.entered ?? false
}

/** Whether a session of that name carries out a statement. */
export async function isAtWork(execute: Execute, name: string): Promise<boolean> {
  const [row] = await execute<{ is: boolean }>(statement`
    select exists (select from pg_stat_activity where application_name = ${name}::text and state = 'active') as is`)
  return row?.is ?? false
}

/**
 * Stops the server once nobody else has been connected for so many rounds of half a second as the setting
 * `kretes.patience` says. It outlives its client. Each round is a transaction of its own, which holds back no vacuum. The
 * second lock is that of {@linkcode enterServer}: no process of ours enters a server that is about to stop.
 */
export async function watchServer(execute: Execute): Promise<void> {
  await execute(statement`
    do $$
    declare
      patience int := current_setting('kretes.patience');
      server text := split_part(pg_read_file('postmaster.pid'), chr(10), 1);
      programs text := setting from pg_config where name = 'BINDIR';
      stop text := case when programs ~ '^[A-Za-z]:' then format('"%s/pg_ctl" kill INT ', programs) else 'kill -INT ' end;
      used bool;
      closed bool := false;
      idle int := 0;
    begin
      if not pg_try_advisory_lock(7381240596318828) then
        return;
      end if;
      loop
        used := exists (
          select from pg_stat_activity
          where backend_type in ('client backend', 'walsender') and pid <> pg_backend_pid()
        );
        exit when closed and not used;
        if closed then
          perform pg_advisory_unlock(7381240596318827);
        end if;
        idle := case when used then 0 else idle + 1 end;
        -- Behind the closed door it looks once more.
        closed := idle > patience and pg_try_advisory_lock(7381240596318827);
        commit;
        perform pg_sleep(case when closed then 0 else 0.5 end);
      end loop;
      execute format('copy (select 1) to program %L', stop || server);
      perform pg_sleep(60);
    end $$`)
}

/** Keeps the server in use: a session that never ends, and outlives its client. */
export async function stayInServer(execute: Execute): Promise<void> {
  await execute(statement`
    do $$
    begin
      loop
        perform pg_sleep(1);
        commit;
      end loop;
    end $$`)
}

/** Any number that nobody else is likely to lock. */
const PRESENCE: Fragment = { sql: '7381240596318827' }
