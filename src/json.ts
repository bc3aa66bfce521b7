/**
 * What JSON makes of a value: of a Date a string, of a property that is a function nothing. The result of a job arrives
 * so.
 *
 * @example
 * ```ts
 * import type { JsonOf } from 'kretes'
 *
 * const arrived: JsonOf<{ at: Date; count: number }> = { at: '2030-01-31T08:00:00.000Z', count: 1 }
 * ```
 */
export type JsonOf<Value> = unknown extends Value
  ? Value
  : Value extends { toJSON(...given: never[]): infer Json }
    ? JsonOf<Json>
    : Value extends string | number | boolean | null
      ? Value
      : // biome-ignore lint/suspicious/noConfusingVoidType: what returns nothing is written so
        Value extends undefined | void
        ? undefined
        : Value extends ((...given: never[]) => unknown) | symbol | bigint
          ? never
          : Value extends readonly unknown[]
            ? {
                // In a list, what JSON cannot hold becomes `null`.
                [Index in keyof Value]: Value[Index] extends infer Item
                  ? unknown extends Item
                    ? Item
                    : Item extends undefined | ((...given: never[]) => unknown) | symbol
                      ? null
                      : JsonOf<Item>
                  : never
              }
            : Value extends ReadonlyMap<unknown, unknown> | ReadonlySet<unknown> | Error
              ? Record<string, never>
              : {
                  // A property under a symbol, and one that is a function, is dropped.
                  [Key in keyof Value as Key extends symbol
                    ? never
                    : unknown extends Value[Key]
                      ? Key
                      : [Value[Key]] extends [((...given: never[]) => unknown) | symbol | undefined]
                        ? [Value[Key]] extends [undefined]
                          ? Key
                          : never
                        : Key]: JsonOf<Value[Key]>
                }
