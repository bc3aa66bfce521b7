import type { Filling } from '../databases.ts'
import { drain } from '../drain.ts'
import { addSample, createRow, interleave, type Measure } from '../measure.ts'
import type { System } from '../report.ts'
import { ratio } from '../statistics.ts'

/** What a long backlog on one queue leaves to the jobs that have nothing to do with it. */
export const starvation: Measure = {
  name: 'starvation',
  description: 'rate of parallel jobs behind a backlog of older jobs on one queue',
  async run({ databases, isQuick }) {
    const scale = isQuick ? 0.2 : 1
    const backlog: Filling = { task: 'Backlog', count: 50_000 * scale, queues: 1, ageMs: 3_600_000 }
    const parallel: Filling = { task: 'Trivial', count: 100_000 * scale, queues: 0 }
    const without = createRow(`Drain ${parallel.count.toLocaleString('en')} jobs`, 'jobs/s', 'higher')
    const behind = createRow(`  behind ${backlog.count.toLocaleString('en')} of one queue`, 'jobs/s', 'higher')
    const subjects: [system: System, fillings: Filling[]][] = [
      ['kretes', [parallel]],
      ['kretes', [backlog, parallel]],
      ['tuned', [parallel]],
      ['tuned', [backlog, parallel]]
    ]
    await interleave(isQuick ? 1 : 2, subjects, async ([system, fillings]) => {
      const limitMs = isQuick ? 2_000 : 4_000
      const { rate } = await drain(databases, system, { fillings, warmUp: 500, limitMs })
      addSample(fillings.length > 1 ? behind : without, system, rate)
    })
    const kept = ratio(behind.samples.kretes ?? [], without.samples.kretes ?? [])
    return {
      rows: [without, behind],
      demands: [{ label: 'Rate of parallel jobs behind a backlog of one queue', value: kept, atLeast: 0.15 }]
    }
  }
}
