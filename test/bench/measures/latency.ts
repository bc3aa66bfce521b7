import { addSample, createRow, interleave, type Measure } from '../measure.ts'
import { systems } from '../report.ts'
import { percentile, ratio } from '../statistics.ts'
import { measureIn } from '../subject.ts'
import type { LatencyResult, LatencySettings } from '../subjects/latency.ts'

/** How long an idle worker takes to begin a job. */
export const latency: Measure = {
  name: 'latency',
  description: 'from scheduling a job to its start, on an idle worker',
  async run({ databases, isQuick }) {
    const middle = createRow('From schedule to start, p50', 'ms', 'lower')
    const tail = createRow('  p99', 'ms', 'lower')
    await interleave(isQuick ? 1 : 5, systems, async system => {
      await using database = await databases.create(system)
      const settings = { system, url: database.url, count: isQuick ? 100 : 200 }
      const { startsMs } = await measureIn<LatencySettings, LatencyResult>('latency', settings)
      addSample(middle, system, percentile(startsMs, 50))
      addSample(tail, system, percentile(startsMs, 99))
    })
    const { kretes = [], defaults = [] } = middle.samples
    const added = ratio(kretes, defaults)
    return {
      rows: [middle, tail],
      demands: [{ label: 'Schedule to start, p50 / graphile-worker with its defaults', value: added, atMost: 1.15 }]
    }
  }
}
