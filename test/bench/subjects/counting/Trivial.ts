import { writeFileSync } from 'node:fs'

// As `drain.ts` counts, for a worker that the command line starts: it can tell nobody but a file.
const { BENCH_COUNT, BENCH_WARM_UP, BENCH_RESULT = '' } = process.env
const count = Number(BENCH_COUNT)
const warmUp = Number(BENCH_WARM_UP)
let ran = 0
let fromMs = 0

/** Does nothing, and writes down the jobs a second when the last one has run. */
export default async function Trivial(): Promise<void> {
  ran++
  if (ran === warmUp) fromMs = performance.now()
  if (ran === count) writeFileSync(BENCH_RESULT, String(((count - warmUp) / (performance.now() - fromMs)) * 1_000))
}
