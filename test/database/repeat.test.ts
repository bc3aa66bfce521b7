import postgres from 'postgres'
import { createPool, type Pool, poolOf } from '../../src/database/connections/pool.ts'
import { withoutConflicts, withSchema } from '../../src/database/connections/repeat.ts'
import { reasonOf } from '../../src/database/connections/transaction.ts'
import { codeOf } from '../../src/database/failure.ts'
import { type Connections, type Execute, statement } from '../../src/sql/statement.ts'
import { onceDone } from '../helpers/cleanup.ts'
import { createDatabase } from '../helpers/database.ts'
import { assert, suite } from '../helpers/suite.ts'
import { until } from '../helpers/until.ts'

const conflicts = suite('withoutConflicts()')
const schema = suite('withSchema()')

const { url, sql } = await createDatabase()
const client = postgres(`${url}?deadlock_timeout=10`, { max: 4, onnotice: () => {} })
const pools: Record<string, Pool> = { 'a pool': createPool(client, 4), "the caller's client": poolOf(client) }
onceDone(async () => {
  await Promise.all(Object.values(pools).map(pool => pool.end()))
  await client.end({ timeout: 1 })
})

/** How statements can be run: by themselves, and in a transaction. */
const ways: Record<
  string,
  (connections: Connections, work: (execute: Execute) => Promise<unknown>) => Promise<unknown>
> = {
  'a statement': ({ execute }, work) => work(execute),
  'a transaction': ({ transact }, work) => transact(work)
}

for (const [pool, connections] of Object.entries(pools)) {
  conflicts(`repeats a transaction of ${pool} that the database ended in favour of another`, async () => {
    await sql`drop table if exists pairs`
    await sql`create table pairs as select id, 0 as sum from generate_series(1, 2) id`
    let tries = 0
    const { transact } = withoutConflicts(connections)
    const firsts = [Promise.withResolvers<void>(), Promise.withResolvers<void>()]
    const addTo = (execute: Execute, id: number) =>
      execute(statement`update pairs set sum = sum + 1 where id = ${id}::text::int`)
    const addToBoth = (ids: readonly [number, number]) =>
      transact(async execute => {
        tries++
        await addTo(execute, ids[0])
        // Each has the first of its rows before either asks for the second.
        firsts[ids[0] - 1]?.resolve()
        await Promise.all(firsts.map(({ promise }) => promise))
        await addTo(execute, ids[1])
      })
    await Promise.all([addToBoth([1, 2]), addToBoth([2, 1])])
    assert.is(tries, 3)
    assert.equal(
      (await sql`select sum from pairs`).map(({ sum }) => sum),
      [2, 2]
    )
  })

  for (const [way, run] of Object.entries(ways)) {
    const raising = (code: string) => ({ text: `do $$ begin raise 'no' using errcode = '${code}'; end $$`, values: [] })

    conflicts(`gives ${way} of ${pool} up after ten conflicts, and at once for any other reason`, async () => {
      for (const [code, most] of [
        ['40001', 10],
        ['40P01', 10],
        ['22012', 1]
      ] as const) {
        let tries = 0
        const counted: Connections = {
          execute(given) {
            tries++
            return connections.execute(given)
          },
          transact(work) {
            tries++
            return connections.transact(work)
          }
        }
        assert.is(await codeOfFailure(run(withoutConflicts(counted), execute => execute(raising(code)))), code)
        assert.is(tries, most)
      }
    })

    schema(`has a table made that ${way} of ${pool} lacks, and repeats it once`, async () => {
      await sql`drop table if exists lacking`
      let mended = 0
      const mend = async (): Promise<void> => {
        mended++
        await sql`create table lacking as select 7 as n`
      }
      const rows: unknown[] = []
      const read = async (execute: Execute): Promise<void> => {
        rows.push(...(await execute<{ n: number }>(statement`select n from lacking`)))
      }
      await run(withSchema(connections, mend), read)
      assert.equal(
        rows.map(row => ({ ...(row as object) })),
        [{ n: 7 }]
      )
      await run(withSchema(connections, mend), read)
      assert.is(mended, 1)
      const stays = async (): Promise<void> => void mended++
      const missing = statement`select from nowhere.nothing`
      assert.is(await codeOfFailure(run(withSchema(connections, stays), execute => execute(missing))), '42P01')
      assert.is(mended, 2)
      const refusing = new Error('it may not')
      const refused = await run(
        withSchema(connections, () => Promise.reject(refusing)),
        execute => execute(missing)
      ).catch(error => error)
      assert.is(refused, refusing)
    })
  }
}

conflicts('leaves no transaction open', async () => {
  await until(async () => (await sql`select from pg_stat_activity where state = 'idle in transaction'`).length === 0)
})

async function codeOfFailure(work: Promise<unknown>): Promise<string | undefined> {
  return await work.then(
    () => undefined,
    error => codeOf(reasonOf(error))
  )
}
