import type { Sql } from 'postgres'

/**
 * Keeps holes out of the result of a statement that is not sent yet. The driver counts the rows of a connection and
 * starts anew only when a statement succeeds (postgres 3.4.9). After one that failed in the midst of its rows, or after
 * a lost connection, the next result has its first row behind as many holes.
 */
export function withoutHoles<Query extends object>(query: Query): Query {
  const settling = query as { resolve?: (result: unknown) => void }
  const { resolve } = settling
  if (resolve) settling.resolve = result => resolve(closeHoles(result))
  return query
}

/** A client whose statements give results without holes. */
export function clientWithoutHoles(client: Sql): Sql {
  return new Proxy(client, {
    apply(target, self, args: Parameters<Sql>) {
      const result: unknown = Reflect.apply(target, self, args)
      const isStatement = Array.isArray(args[0]) && 'raw' in args[0]
      return isStatement ? withoutHoles(result as object) : result
    },
    get(target, property) {
      if (property !== 'unsafe') return Reflect.get(target, property)
      return (...args: Parameters<Sql['unsafe']>) => withoutHoles(target.unsafe(...args))
    }
  })
}

/** The same for a result that is there. What a list has besides its rows stays. */
export function closeHoles<Result>(result: Result): Result {
  if (Array.isArray(result) && result.length > 0 && result[0] === undefined) {
    const holes = result.findIndex(row => row !== undefined)
    result.splice(0, holes)
  }
  return result
}
