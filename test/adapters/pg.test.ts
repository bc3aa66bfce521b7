import pg from 'pg'
import { testTransactions } from './contract.ts'
import { nestInSql, type Transaction } from './library.ts'

await testTransactions({
  name: 'node-postgres',
  open(url) {
    const pool = new pg.Pool({ connectionString: url, max: 4 })
    return {
      async transact(work) {
        const client = await pool.connect()
        try {
          await client.query('begin')
          const result = await work(toTransaction(client))
          await client.query('commit')
          return result
        } catch (error) {
          await client.query('rollback')
          throw error
        } finally {
          client.release()
        }
      },
      pools: [pool],
      close: () => pool.end()
    }
  }
})

function toTransaction(client: pg.PoolClient): Transaction {
  const transaction: Transaction = {
    handle: client,
    run: text => client.query(text),
    nest: work => nestInSql(transaction, work)
  }
  return transaction
}
