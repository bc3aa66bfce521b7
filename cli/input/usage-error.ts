export { didYouMean, nearMatches } from '../../src/near.ts'

/** A command line that cannot be carried out as it stands. The process ends with exit code 2. */
export class UsageError extends Error {
  override readonly name: string = 'UsageError'
}
