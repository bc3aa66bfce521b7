/**
 * The type of a value after JSON: a Date becomes a string, and functions are dropped. This is the type of a job's result.
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
      : // biome-ignore lint/suspicious/noConfusingVoidType: the type of a function that returns nothing
        Value extends undefined | void
        ? undefined
        : Value extends ((...given: never[]) => unknown) | symbol | bigint
          ? never
          : Value extends readonly unknown[]
            ? {
                // In a list, a value that JSON cannot hold becomes `null`.
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
                  // Properties that are functions or have symbols as keys are dropped.
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
