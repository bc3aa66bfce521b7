import knex, { type Knex } from 'knex'
import { testTransactions } from './contract.ts'
import type { Transaction } from './library.ts'

await testTransactions({
  name: 'Knex',
  open(url) {
    const database = knex({ client: 'pg', connection: url, pool: { min: 0, max: 4 } })
    return {
      transact: work => database.transaction(handle => work(toTransaction(handle))),
      pools: [database],
      close: () => database.destroy()
    }
  }
})

function toTransaction(handle: Knex.Transaction): Transaction {
  return {
    handle,
    run: text => handle.raw(text),
    nest: work => handle.transaction(inner => work(toTransaction(inner)))
  }
}
