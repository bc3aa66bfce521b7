import { type Execute, type Fragment, type Statement, statement } from '../statement.ts'

/** For PostgreSQL in single-user mode, which reads each line as a statement. */
export const createEmbeddedDatabase = 'create database kretes\n'

/**
 * Takes a lock that keeps the server from stopping until the session ends. Returns false if the server is about to
 * stop.
 */
export async function lockServer(execute: Execute): Promise<boolean> {
  return await isTrue(execute, statement`select pg_try_advisory_lock_shared(${IN_USE}) as is`)
}

/** Whether a session with this name runs a statement. */
export async function isRunning(execute: Execute, name: string): Promise<boolean> {
  const exists = statement`
    select exists (select from pg_stat_activity where application_name = ${name}::text and state = 'active') as is`
  return await isTrue(execute, exists)
}

/**
 * Stops the server when no other client has connected for the number of rounds in the setting `kretes.patience`. A
 * round takes half a second.
 *
 * The statement outlives its client. Each round is its own transaction, so the statement does not hold back vacuum. The
 * first lock ensures that only one session watches. The second lock is the lock of {@linkcode lockServer}.
 */
export async function stopWhenUnused(execute: Execute): Promise<void> {
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
        -- With the lock held, the next round looks once more.
        closed := idle > patience and pg_try_advisory_lock(7381240596318827);
        commit;
        perform pg_sleep(case when closed then 0 else 0.5 end);
      end loop;
      execute format('copy (select 1) to program %L', stop || server);
      perform pg_sleep(60);
    end $$`)
}

/** Keeps the server in use. The statement never ends and outlives its client. */
export async function keepServer(execute: Execute): Promise<void> {
  await execute(statement`
    do $$
    begin
      loop
        perform pg_sleep(1);
        commit;
      end loop;
    end $$`)
}

/**
 * Reads the last row: the driver may put holes before the row of a statement that follows a lost one (postgres 3.4.9).
 */
async function isTrue(execute: Execute, question: Statement): Promise<boolean> {
  return (await execute<{ is: boolean }>(question)).at(-1)?.is ?? false
}

/** An arbitrary number. */
const IN_USE: Fragment = { sql: '7381240596318827' }
