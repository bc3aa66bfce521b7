/** Says that a worker has begun a job. */
export default async function Trivial(): Promise<void> {
  process.stdout.write('picked\n')
}
