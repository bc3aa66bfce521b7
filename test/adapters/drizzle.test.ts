import { sql } from 'drizzle-orm'
import { drizzle as drizzleOverPg } from 'drizzle-orm/node-postgres'
import { drizzle as drizzleOverPostgres } from 'drizzle-orm/postgres-js'
import pg from 'pg'
import postgres from 'postgres'
import { testTransactions } from './contract.ts'
import type { Transaction } from './library.ts'

await testTransactions({
  name: 'Drizzle over postgres.js',
  open(url) {
    const client = postgres(url, { max: 4, onnotice: () => {} })
    const database = drizzleOverPostgres(client)
    type Handed = Parameters<Parameters<typeof database.transaction>[0]>[0]
    const toTransaction = (handle: Handed): Transaction => ({
      handle,
      run: text => handle.execute(sql.raw(text)),
      nest: work => handle.transaction(inner => work(toTransaction(inner)))
    })
    return {
      transact: work => database.transaction(handle => work(toTransaction(handle))),
      pools: [database],
      close: () => client.end()
    }
  }
})

await testTransactions({
  name: 'Drizzle over node-postgres',
  open(url) {
    const client = new pg.Pool({ connectionString: url, max: 4 })
    const database = drizzleOverPg(client, { casing: 'snake_case' })
    type Handed = Parameters<Parameters<typeof database.transaction>[0]>[0]
    const toTransaction = (handle: Handed): Transaction => ({
      handle,
      run: text => handle.execute(sql.raw(text)),
      nest: work => handle.transaction(inner => work(toTransaction(inner)))
    })
    return {
      transact: work => database.transaction(handle => work(toTransaction(handle))),
      pools: [database],
      close: () => client.end()
    }
  }
})
