import { closeHoles } from '../database/connections/holes.ts'
import type { Execute, Statement } from '../sql/statement.ts'

/**
 * A transaction of the application: of postgres.js, Bun, Drizzle, Kysely, Prisma, Knex or TypeORM, as the library passes
 * it to your function, or a client of node-postgres or anything else with its `query(text, values)`.
 */
export type ForeignTransaction =
  | { readonly unsafe: (...given: never[]) => unknown }
  | { readonly query: (...given: never[]) => unknown }
  | { readonly execute: (...given: never[]) => unknown; readonly transaction: (...given: never[]) => unknown }
  | { readonly executeQuery: (...given: never[]) => unknown; readonly isTransaction: boolean }
  | { readonly $queryRawUnsafe: (...given: never[]) => unknown }
  | { readonly raw: (...given: never[]) => unknown; readonly isTransaction?: boolean }

/**
 * Runs statements in a transaction of the application. No library is imported: we tell them apart by their methods.
 *
 * @throws {TypeError} if we do not know the transaction, or it is a pool, where each statement would be on its own
 */
export function executeInTransaction(transaction: ForeignTransaction): Execute {
  const given = (transaction ?? {}) as Capabilities
  const library = LIBRARIES.find(({ knows }) => knows(given))
  if (!library) {
    throw new TypeError(
      'Cannot schedule in a transaction: the argument is none of postgres.js, Bun, node-postgres, Drizzle, Kysely, ' +
        'Prisma, Knex or TypeORM, and has no query(text, values)'
    )
  }
  if (library.isPool(given)) {
    throw new TypeError(
      `Cannot schedule in a transaction: the argument is ${library.name}, not a transaction. Pass the transaction that it passes to your function`
    )
  }
  const run = (statement: Statement): Promise<unknown> => library.run(given, statement)
  return async <Row>(statement: Statement) => {
    const result = library.needsTurns ? await inTurn(transaction, () => run(statement)) : await run(statement)
    return rowsOf(result) as readonly Row[]
  }
}

/** The methods and properties of a transaction, by name. */
// biome-ignore lint/suspicious/noExplicitAny: methods of other libraries, whose types we do not import
type Capabilities = { readonly [name: string]: any }

/** A library that has transactions. */
interface Library {
  /** The source of its transactions, for an error. */
  readonly name: string
  /** Whether an object is of this library. */
  knows(given: Capabilities): boolean
  /** Whether the object is a source of transactions, rather than one. */
  isPool(given: Capabilities): boolean
  run(given: Capabilities, statement: Statement): Promise<unknown>
  /** Whether it passes statements on to node-postgres at once, which takes one at a time. */
  readonly needsTurns?: true
}

const LIBRARIES: readonly Library[] = [
  {
    name: 'a client of postgres.js or Bun',
    knows: given => typeof given.unsafe === 'function',
    isPool: given => typeof given.begin === 'function' && typeof given.savepoint !== 'function',
    // A client with `prepare: false` prepares nothing all the same.
    run: (given, { text, values }) => given.unsafe(text, [...values], { prepare: true })
  },
  {
    name: 'the client of Prisma',
    knows: given => typeof given.$queryRawUnsafe === 'function',
    isPool: given => typeof given.$connect === 'function',
    run: (given, { text, values }) => given.$queryRawUnsafe(text, ...values)
  },
  {
    name: 'the database of Kysely',
    knows: given => typeof given.executeQuery === 'function' && typeof given.getExecutor === 'function',
    isPool: given => given.isTransaction !== true,
    run: (given, statement) => given.executeQuery(toCompiledQuery(statement))
  },
  {
    name: 'the client of Knex',
    knows: given => typeof given.raw === 'function',
    isPool: given => given.isTransaction !== true,
    run: (given, statement) => given.raw(toKnex(statement), [...statement.values]),
    needsTurns: true
  },
  {
    name: 'the database of Drizzle',
    knows: given => typeof given.execute === 'function' && typeof given.dialect === 'object',
    isPool: given => typeof given.rollback !== 'function',
    run: (given, statement) => given.execute(toDrizzle(statement)),
    needsTurns: true
  },
  {
    name: 'a manager or data source of TypeORM',
    // All of its classes but the query runners mark their instances.
    knows: given => typeof given.query === 'function' && ('@instanceof' in given || 'isTransactionActive' in given),
    isPool: given => {
      const runner = 'isTransactionActive' in given ? given : (given.queryRunner ?? given.manager?.queryRunner)
      return !runner?.isTransactionActive
    },
    run: (given, { text, values }) => given.query(text, [...values]),
    needsTurns: true
  },
  {
    name: 'a pool of node-postgres',
    knows: given => typeof given.query === 'function',
    isPool: given => typeof given.connect === 'function' && typeof given.totalCount === 'number',
    run: (given, { text, values }) => given.query(text, [...values]),
    needsTurns: true
  }
]

/** The last statement of each transaction. */
const turns = new WeakMap<object, Promise<unknown>>()

/** Begins work when earlier work on the same transaction has ended. */
function inTurn<Result>(transaction: object, work: () => Promise<Result>): Promise<Result> {
  const turn = (turns.get(transaction) ?? Promise.resolve()).then(work)
  turns.set(
    transaction,
    turn.catch(() => {})
  )
  return turn
}

/** Some libraries return the rows, others an object with the rows. */
function rowsOf(result: unknown): readonly unknown[] {
  if (Array.isArray(result)) return closeHoles(result)
  const { rows } = (result ?? {}) as { rows?: unknown }
  if (Array.isArray(rows)) return closeHoles(rows)
  throw new TypeError(
    'Cannot schedule in a transaction: its query(text, values) resolves neither to rows nor to { rows }'
  )
}

/** The same object as Kysely's `CompiledQuery.raw` returns. */
function toCompiledQuery({ text, values }: Statement): object {
  return {
    query: { kind: 'RawNode', sqlFragments: [text], parameters: [] },
    queryId: { queryId: 'kretes' },
    sql: text,
    parameters: values
  }
}

/** Knex takes question marks for parameters, even in names. Our parameters are in order, and each stands once. */
function toKnex({ text }: Statement): string {
  return text.replace(/"(?:[^"]|"")*"|'(?:[^']|'')*'|\$\d+|\?/g, part =>
    part.startsWith('$') ? '?' : part.replaceAll('?', '\\?')
  )
}

/** The part of Drizzle's own SQL objects that `execute` calls. */
function toDrizzle({ text, values }: Statement): object {
  return { getSQL: () => ({ toQuery: () => ({ sql: text, params: [...values] }) }) }
}
