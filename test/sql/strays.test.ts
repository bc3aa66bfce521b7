import { createBackground } from '../../src/background.ts'
import { poolOf } from '../../src/database/connections/pool.ts'
import { findStrays, moveStray } from '../../src/sql/database/strays.ts'
import { createDatabase } from '../helpers/database.ts'
import { assert, suite } from '../helpers/suite.ts'

const test = suite('strays in our schema')

test('are none in a schema that is ours alone', async () => {
  const { url, sql } = await createDatabase()
  const { execute } = poolOf(sql)
  assert.equal(await findStrays(execute, 'kretes'), [])
  await using background = createBackground({ connection: url })
  await background.migrate()
  assert.equal(await findStrays(execute, 'kretes'), [])
})

test('are found whatever they are, and moved with what belongs to them', async () => {
  const { url, sql } = await createDatabase()
  await using background = createBackground({ connection: url })
  await background.migrate()
  await sql.unsafe(`
    set search_path = kretes, public;
    create type mood as enum ('good', 'bad');
    create domain "Email" as text;
    create type pair as (a int, b int);
    create table users (id serial primary key, no int generated always as identity, mood mood, email "Email");
    create table posts (id int primary key, author int references users (id)) partition by hash (id);
    create table posts_0 partition of posts for values with (modulus 1, remainder 0);
    create view authors as select * from users;
    create materialized view counts as select count(*) from users;
    create sequence numbers;
    create function twice(value int, "of What" text) returns int language sql as 'select value * 2';
    create procedure nothing() language sql as '';
    create table public.taken (id int);
    create table taken (id int);
    insert into users (mood, email) values ('good', 'ada@example.com')`)
  const { execute } = poolOf(sql)
  const strays = await findStrays(execute, 'kretes')
  assert.equal(strays.map(({ name }) => name).toSorted(), [
    '"Email"',
    'authors',
    'counts',
    'mood',
    'nothing()',
    'numbers',
    'pair',
    'posts',
    'posts_0',
    'taken',
    'twice(value integer, "of What" text)',
    'users'
  ])
  for (const stray of strays) {
    const code = await moveStray(execute, stray).catch(error => error.code)
    assert.is(code, stray.name === 'taken' ? '42P07' : undefined)
  }
  assert.equal(
    (await findStrays(execute, 'kretes')).map(({ name }) => name),
    ['taken']
  )
  await sql`insert into public.users (mood) values ('bad')`
  assert.is((await sql`select count(*)::int from public.authors`)[0]?.count, 2)
  assert.equal((await background.jobs()).jobs, [])
})
