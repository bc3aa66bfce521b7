import { drain } from '../drain.ts'
import { addSample, createRow, interleave, type Measure } from '../measure.ts'
import { systems } from '../report.ts'
import { median } from '../statistics.ts'

/** How fast one worker runs the jobs of named queues, one at a time in each. */
export const queues: Measure = {
  name: 'queues',
  description: 'the same through one named queue, and through a hundred',
  async run({ databases, isQuick }) {
    const rounds = isQuick ? 1 : 3
    const limitMs = isQuick ? 3_000 : 5_000
    const one = createRow('Drain one queue of 1,000 jobs', 'jobs/s', 'higher')
    const hundred = createRow('Drain 100 queues, 10,000 jobs', 'jobs/s', 'higher')
    for (const [row, count, queues] of [[one, 1_000, 1] as const, [hundred, 10_000, 100] as const]) {
      await interleave(rounds, systems, async system => {
        // The engine alone runs a job every two seconds: more rounds of that tell nothing new.
        if (system !== 'kretes' && row.samples[system]) return
        const fillings = [{ task: 'Trivial', count, queues } as const]
        const { rate } = await drain(databases, system, { fillings, warmUp: count / 20, limitMs })
        addSample(row, system, rate)
      })
    }
    return {
      rows: [one, hundred],
      demands: [
        { label: 'Jobs/s through one queue', value: median(one.samples.kretes ?? []), atLeast: 200 },
        { label: 'Jobs/s through 100 queues', value: median(hundred.samples.kretes ?? []), atLeast: 5_000 }
      ]
    }
  }
}
