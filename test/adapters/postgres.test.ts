import postgres from 'postgres'
import { testTransactions } from './contract.ts'
import type { Library, Transaction } from './library.ts'

const library: Library = {
  name: 'postgres.js',
  open(url) {
    const sql = postgres(url, { max: 4, onnotice: () => {} })
    return {
      transact: work => sql.begin(inner => work(toTransaction(inner))),
      pools: [sql],
      close: () => sql.end()
    }
  }
}

await testTransactions(library)
await testTransactions({
  name: 'postgres.js that prepares nothing and renames columns',
  open(url) {
    const sql = postgres(url, { max: 4, prepare: false, transform: postgres.camel, onnotice: () => {} })
    return { transact: work => sql.begin(inner => work(toTransaction(inner))), pools: [sql], close: () => sql.end() }
  }
})

function toTransaction(sql: postgres.TransactionSql): Transaction {
  return {
    handle: sql,
    run: text => sql.unsafe(text),
    nest: work => sql.savepoint(inner => work(toTransaction(inner)))
  }
}
