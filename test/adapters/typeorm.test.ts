import 'reflect-metadata'
import { DataSource, type EntityManager, type QueryRunner } from 'typeorm'
import { testTransactions } from './contract.ts'
import { nestInSql, type Transaction } from './library.ts'

await testTransactions({
  name: 'TypeORM, by its manager',
  async open(url) {
    const source = await open(url)
    const toTransaction = (handle: EntityManager): Transaction => ({
      handle,
      run: text => handle.query(text),
      nest: work => handle.transaction(inner => work(toTransaction(inner)))
    })
    return {
      transact: work => source.transaction(handle => work(toTransaction(handle))),
      pools: [source, source.manager, source.createQueryRunner()],
      close: () => source.destroy()
    }
  }
})

await testTransactions({
  name: 'TypeORM, by its query runner',
  async open(url) {
    const source = await open(url)
    const toTransaction = (handle: QueryRunner): Transaction => {
      const transaction: Transaction = {
        handle,
        run: text => handle.query(text),
        nest: work => nestInSql(transaction, work)
      }
      return transaction
    }
    return {
      async transact(work) {
        const handle = source.createQueryRunner()
        await handle.startTransaction()
        try {
          await work(toTransaction(handle))
          await handle.commitTransaction()
        } catch (error) {
          await handle.rollbackTransaction()
          throw error
        } finally {
          await handle.release()
        }
      },
      pools: [source.createQueryRunner().manager],
      close: () => source.destroy()
    }
  }
})

function open(url: string): Promise<DataSource> {
  return new DataSource({ type: 'postgres', url, poolSize: 4 }).initialize()
}
