import { BackgroundError } from './errors.ts'

/**
 * A schema of any library that implements Standard Schema v1, such as zod, valibot and arktype.
 *
 * @typeParam Input the schema's input
 * @typeParam Output the schema's output
 */
export interface StandardSchema<Input = unknown, Output = Input> {
  /** The interface that the libraries share. */
  readonly '~standard': {
    readonly version: 1
    readonly vendor: string
    readonly validate: (value: unknown) => SchemaResult<Output> | Promise<SchemaResult<Output>>
    readonly types?: { readonly input: Input; readonly output: Output } | undefined
  }
}

/** The result of a schema. */
export type SchemaResult<Output> =
  | { readonly value: Output; readonly issues?: undefined }
  | { readonly issues: readonly SchemaIssue[] }

/** A problem with a value. */
export interface SchemaIssue {
  /** The problem. */
  readonly message: string
  /** The path to the problem; absent for the value as a whole. */
  readonly path?: readonly (PropertyKey | { readonly key: PropertyKey })[] | undefined
}

/** Whether a value is a schema. */
export function isStandardSchema(value: unknown): value is StandardSchema {
  const isObject = (typeof value === 'object' && value !== null) || typeof value === 'function'
  return isObject && typeof (value as Partial<StandardSchema>)['~standard']?.validate === 'function'
}

/**
 * Validates a payload, and returns the schema's output. Returns a promise only if the schema does, so that calls keep their
 * order.
 *
 * @param doing completes "Cannot …" in the error
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
