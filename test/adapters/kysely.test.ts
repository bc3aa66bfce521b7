import {
  CamelCasePlugin,
  type ControlledTransaction,
  type Transaction as Handed,
  Kysely,
  PostgresDialect,
  sql
} from 'kysely'
import pg from 'pg'
import { testTransactions } from './contract.ts'
import { nestInSql, type Transaction } from './library.ts'

interface Tables {
  orders: { id: number; parent: number | null }
}

await testTransactions({
  name: 'Kysely',
  open(url) {
    const database = open(url)
    const toTransaction = (handle: Handed<Tables>): Transaction => {
      const transaction: Transaction = {
        handle,
        run: text => sql.raw(text).execute(handle),
        nest: work => nestInSql(transaction, work)
      }
      return transaction
    }
    return {
      transact: work => database.transaction().execute(handle => work(toTransaction(handle))),
      pools: [database],
      close: () => database.destroy()
    }
  }
})

await testTransactions({
  name: 'Kysely, controlled, with a plugin',
  open(url) {
    const database = open(url).withPlugin(new CamelCasePlugin())
    const toTransaction = (handle: ControlledTransaction<Tables, string[]>): Transaction => ({
      handle,
      run: text => sql.raw(text).execute(handle),
      async nest(work) {
        const inner = await handle.savepoint('nested').execute()
        try {
          await work(toTransaction(inner))
          await inner.releaseSavepoint('nested').execute()
        } catch (error) {
          await inner.rollbackToSavepoint('nested').execute()
          throw error
        }
      }
    })
    return {
      async transact(work) {
        const handle = await database.startTransaction().execute()
        try {
          await work(toTransaction(handle))
          await handle.commit().execute()
        } catch (error) {
          await handle.rollback().execute()
          throw error
        }
      },
      pools: [database],
      close: () => database.destroy()
    }
  }
})

function open(url: string): Kysely<Tables> {
  return new Kysely<Tables>({ dialect: new PostgresDialect({ pool: new pg.Pool({ connectionString: url, max: 4 }) }) })
}
