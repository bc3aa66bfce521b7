import { addSample, createRow, type Measure } from '../measure.ts'
import { median, percentile } from '../statistics.ts'
import { measureIn } from '../subject.ts'
import type { ResultResult, ResultSettings } from '../subjects/result.ts'

/** How soon those who wait for results get them. */
export const result: Measure = {
  name: 'result',
  description: 'from the end of a task to its result, with a thousand that wait',
  async run({ databases, isQuick }) {
    const middle = createRow('From the end of a task to its result, p50', 'ms', 'lower')
    const tail = createRow('  p95', 'ms', 'lower')
    for (let round = 0; round < (isQuick ? 1 : 3); round++) {
      await using database = await databases.create('kretes')
      const { settledMs } = await measureIn<ResultSettings, ResultResult>('result', { url: database.url, count: 1_000 })
      addSample(middle, 'kretes', percentile(settledMs, 50))
      addSample(tail, 'kretes', percentile(settledMs, 95))
    }
    const value = median(middle.samples.kretes ?? [])
    return { rows: [middle, tail], demands: [{ label: 'Result after the end of its task, ms', value, atMost: 10 }] }
  }
}
