import { BackgroundError } from './errors.ts'

/**
 * A schema of any library that implements Standard Schema v1, such as zod, valibot and arktype.
 *
 * @typeParam Input what the schema takes
 * @typeParam Output what it makes of it
 */
export interface StandardSchema<Input = unknown, Output = Input> {
  /** What libraries agreed on. */
  readonly '~standard': {
    readonly version: 1
    readonly vendor: string
    readonly validate: (value: unknown) => SchemaResult<Output> | Promise<SchemaResult<Output>>
    readonly types?: { readonly input: Input; readonly output: Output } | undefined
  }
}

/** What a schema says of a value. */
export type SchemaResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly SchemaIssue[] }

/** One thing that is wrong with a value. */
export interface SchemaIssue {
  /** What is wrong, in words. */
  readonly message: string
  /** Where; without, with the value as a whole. */
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined
}

/** Whether something is a schema. */
export function isStandardSchema(value: unknown): value is StandardSchema {
  const isObject = (typeof value === 'object' && value !== null) || typeof value === 'function'
  return isObject && typeof (value as Partial<StandardSchema>)['~standard']?.validate === 'function'
}

/**
 * What a schema makes of a payload. Not a promise unless the schema gives one, so that calls keep their order.
 *
 * @param doing what cannot be done with an invalid one, for the error
 * @throws {BackgroundError} `INVALID_PAYLOAD` with the path and the reason of each issue
 */
export function validatePayload<Output>(
  schema: StandardSchema<unknown, Output>,
  payload: unknown,
  doing: string
): Output | Promise<Output> {
  const result = schema['~standard'].validate(payload)
  return result instanceof Promise ? result.then(settled => outputOf(settled, doing)) : outputOf(result, doing)
}

function outputOf<Output>(result: SchemaResult<Output>, doing: string): Output {
  if (!result.issues) return result.value
  const reasons = result.issues.map(({ path = [], message }) => `${pathTo(path)}: ${message}`)
  throw new BackgroundError('INVALID_PAYLOAD', `Cannot ${doing}: ${reasons.join('; ')}`, { cause: result.issues })
}

function pathTo(path: NonNullable<SchemaIssue['path']>): string {
  let said = 'payload'
  for (const segment of path) {
    const key = typeof segment === 'object' ? segment.key : segment
    if (typeof key === 'number') said += `[${key}]`
    else if (typeof key === 'string' && !IDENTIFIER.test(key)) said += `[${JSON.stringify(key)}]`
    else said += `.${String(key)}`
  }
  return said
}

const IDENTIFIER = /^[\p{L}_$][\p{L}\p{N}_$]*$/u
