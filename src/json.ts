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
        : Value extends Unwritable | bigint
          ? never
          : Value extends readonly unknown[]
            ? { [Index in keyof Value]: ElementOf<Value[Index]> }
            : Value extends ReadonlyMap<unknown, unknown> | ReadonlySet<unknown> | Error
              ? Record<string, never>
              : { [Key in keyof Value as KeyOf<Value, Key>]: JsonOf<Value[Key]> }

/** What JSON drops: functions and symbols. */
// biome-ignore lint/suspicious/noExplicitAny: functions of any kind are meant
export type Unwritable = ((...given: any[]) => unknown) | symbol

/** In a list, what JSON cannot hold becomes `null`. */
export type ElementOf<Value> = unknown extends Value
  ? Value
  : Value extends undefined | Unwritable
    ? null
    : JsonOf<Value>

/** A property under a symbol, and one that is a function, is dropped. */
export type KeyOf<Value, Key extends keyof Value> = Key extends symbol
  ? never
  : unknown extends Value[Key]
    ? Key
    : [Value[Key]] extends [Unwritable | undefined]
      ? [Value[Key]] extends [undefined]
        ? Key
        : never
      : Key
