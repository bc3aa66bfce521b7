import postgres from 'postgres'
import { createBackground } from '../../src/background.ts'
import { onceDone } from '../helpers/cleanup.ts'
import { createDatabase } from '../helpers/database.ts'
import { assert, suite } from '../helpers/suite.ts'
import { until } from '../helpers/until.ts'
import { work } from '../worker/work.ts'

const test = suite('add_job(), called from SQL,')
const database = await createDatabase()
const { sql } = database
const background = createBackground({ connection: database.url })
onceDone(() => background.close())
await background.migrate()

/** The addresses that the worker has sent to, in order. */
const sent: string[] = []
await work(database, { tasks: { SendEmail: ({ to }) => void sent.push(to) } })

await sql.unsafe(`
  create table users (email text primary key);
  create function welcome() returns trigger language plpgsql as $$
  begin
    perform graphile_worker.add_job('SendEmail', json_build_object('to', new.email), queue_name => 'welcome');
    return new;
  end $$;
  create trigger welcome after insert on users for each row execute function welcome()`)

test('schedules a job from a trigger, for each row of a committed insert and none of another', async () => {
  await sql.begin(async transaction => {
    await transaction`insert into users values ('a@example.com')`
    assert.is((await sql`select from graphile_worker.jobs`).count, 0)
  })
  await sql`insert into users values ('b@example.com'), ('c@example.com')`
  const failure = await sql
    .begin(async transaction => {
      await transaction`insert into users values ('d@example.com')`
      await transaction`insert into users values ('a@example.com')`
    })
    .catch(error => error)
  assert.is(failure.code, '23505')
  await sql`insert into users values ('e@example.com')`
  await until(() => sent.length === 4)
  await until(async () => (await sql`select from graphile_worker.jobs`).count === 0)
  assert.equal(sent.splice(0), ['a@example.com', 'b@example.com', 'c@example.com', 'e@example.com'])
})

test('schedules a job from a stored procedure, as often as it commits', async () => {
  await sql.unsafe(`
    create procedure remind(addresses text[]) language plpgsql as $$
    declare address text;
    begin
      foreach address in array addresses loop
        perform graphile_worker.add_job('SendEmail', json_build_object('to', address), queue_name => 'remind');
        if address like '%!' then rollback; else commit; end if;
      end loop;
    end $$`)
  await sql`call remind(${['a', 'b!', 'c']}::text[])`
  await until(() => sent.length === 2)
  assert.equal(sent.splice(0), ['a', 'c'])
})

test('schedules a job for each row of a query', async () => {
  await sql`
    select count(*) from users, graphile_worker.add_job('SendEmail', json_build_object('to', 'bulk ' || email))`
  await until(() => sent.length === 4)
  assert.equal(sent.splice(0).sort(), [
    'bulk a@example.com',
    'bulk b@example.com',
    'bulk c@example.com',
    'bulk e@example.com'
  ])
})

test('takes every option of a job, which can be changed and removed as any other', async () => {
  const [row] = await sql`
    select id::text, run_at > now() + interval '59 minutes' as later from graphile_worker.add_job(
      'SendEmail',
      json_build_object('to', 'd'),
      queue_name => 'email',
      run_at => now() + interval '1 hour',
      max_attempts => 3,
      job_key => 'reminder:7',
      priority => 5
    )`
  assert.is(row?.later, true)
  const { id, task, queue, maxAttempts, priority } = await background.reschedule({ key: 'reminder:7' }, { priority: 6 })
  assert.equal(
    { id, task, queue, maxAttempts, priority },
    { id: row?.id, task: 'SendEmail', queue: 'email', maxAttempts: 3, priority: 6 }
  )
  assert.is((await background.unschedule({ key: 'reminder:7' })).id, id)
})

test('needs no more of a role than to execute a function of the owner that calls it', async () => {
  await sql.unsafe(`
    create function send_email(address text) returns bigint
    language sql security definer set search_path = ''
    as $$ select id from graphile_worker.add_job('SendEmail', json_build_object('to', address)) $$;
    revoke execute on function send_email from public`)
  const { role, as } = await createRole('caller')
  const call = () => as(client => client`select send_email('from a role')`)
  assert.is(await codeOf(call()), '42501')
  await sql`grant execute on function send_email to ${sql(role)}`
  await call()
  await until(() => sent.length === 1)
  assert.equal(sent.splice(0), ['from a role'])
  assert.is(await codeOf(as(client => client`select graphile_worker.add_job('SendEmail')`)), '42501')
})

test('is open to a member of the role that migrated', async () => {
  const owner = await createRole('owner')
  const member = await createRole('member')
  const own = await createDatabase({ isEmpty: true })
  await own.sql`grant create on database ${sql(own.name)} to ${sql(owner.role)}`
  await using migrator = createBackground({ connection: asRole(own.url, owner.role) })
  await migrator.migrate()
  const scheduler = createBackground({ connection: asRole(own.url, member.role) })
  onceDone(() => scheduler.close())
  assert.is(await codeOf(scheduler.schedule({ task: 'A' })), 'MIGRATION')
  await sql`grant ${sql(owner.role)} to ${sql(member.role)}`
  const { id } = await scheduler.schedule({ task: 'A', key: 'a' })
  await scheduler.unschedule(id)
  assert.is((await own.sql`select from graphile_worker.jobs`).count, 0)
})

test('called by another role itself, needs these privileges and policies, and each of them', async () => {
  const { role, as } = await createRole('direct')
  const tables = ['_private_tasks', '_private_job_queues', '_private_jobs'].map(table => `graphile_worker.${table}`)
  const [tasks, queues, jobs] = tables
  const privileges = [
    'usage on schema graphile_worker',
    `select on ${tasks}`,
    `insert on ${tasks}`,
    `select on ${queues}`,
    `insert on ${queues}`,
    `select on ${jobs}`,
    `insert on ${jobs}`,
    `update on ${jobs}`
  ]
  for (const privilege of privileges) await sql.unsafe(`grant ${privilege} to ${role}`)
  for (const table of tables) await sql.unsafe(`create policy ${role} on ${table} to ${role} using (true)`)

  const call = () =>
    as(
      client => client`
        select from graphile_worker.add_job(
          'SendEmail', json_build_object('to', 'direct'), queue_name => 'direct ' || random(), job_key => 'direct'
        )`
    )
  await call()
  await until(() => sent.length === 1)
  for (const privilege of privileges) {
    await sql.unsafe(`revoke ${privilege} from ${role}`)
    assert.is(await codeOf(call()), '42501', privilege)
    await sql.unsafe(`grant ${privilege} to ${role}`)
  }
  for (const table of tables) {
    await sql.unsafe(`drop policy ${role} on ${table}`)
    assert.is(await codeOf(call()), '42501', table)
    await sql.unsafe(`create policy ${role} on ${table} to ${role} using (true)`)
  }

  const scheduler = createBackground({ connection: asRole(database.url, role) })
  onceDone(() => scheduler.close())
  await scheduler.schedule({ task: 'SendEmail', payload: { to: 'direct' } })
  // Many are preceded by a look at whether the schema is there.
  await sql.unsafe(`grant select on graphile_worker.jobs to ${role}`)
  await scheduler.scheduleMany([{ task: 'SendEmail', payload: { to: 'direct' } }])
  await until(() => sent.length === 3)
  sent.splice(0)
})

interface Role {
  readonly role: string
  as<Result>(work: (client: postgres.Sql) => PromiseLike<Result>): Promise<Result>
}

/** A role that may log in, with a way to do something as it on a connection of its own. */
async function createRole(name: string): Promise<Role> {
  const role = `${database.name}_${name}`
  await sql`create role ${sql(role)} login`
  return {
    role,
    async as(work) {
      // Made anew, since plans are kept as long as a session, with the privileges of their time.
      const client = postgres(asRole(database.url, role), { max: 1, onnotice: () => {} })
      try {
        return await work(client)
      } finally {
        await client.end()
      }
    }
  }
}

function asRole(url: string, role: string): string {
  const other = new URL(url)
  other.username = role
  return other.href
}

/** The code of the error with which a call fails; of the database's own, the SQLSTATE. */
async function codeOf(call: PromiseLike<unknown>): Promise<unknown> {
  return await call.then(
    () => 'none',
    error => error.code
  )
}
