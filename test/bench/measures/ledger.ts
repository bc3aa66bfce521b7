import { drain } from '../drain.ts'
import { addSample, createRow, interleave, type Measure } from '../measure.ts'
import type { System } from '../report.ts'
import { ratio } from '../statistics.ts'

/** What it costs to record every run, beside BullMQ which keeps what it has done. */
export const ledger: Measure = {
  name: 'ledger',
  description: 'rate at which a worker runs jobs that do nothing, with and without a record of each',
  async run({ databases, peers, isQuick }) {
    const count = isQuick ? 10_000 : 30_000
    const on = createRow(`Drain ${count.toLocaleString('en')} jobs, each recorded`, 'jobs/s', 'higher')
    const off = createRow('  none recorded', 'jobs/s', 'higher')
    const cpu = createRow("  recorded, the worker's own CPU", 'µs/job', 'lower')
    const subjects = [
      { system: 'kretes' as System, keepsDone: true },
      { system: 'kretes' as System, keepsDone: false },
      ...peers.filter(system => system === 'bullmq').map(system => ({ system, keepsDone: true }))
    ]
    await interleave(isQuick ? 3 : 7, subjects, async ({ system, keepsDone }) => {
      const result = await drain(databases, system, {
        fillings: [{ task: 'Trivial', count, queues: 0 }],
        warmUp: count / 10,
        limitMs: isQuick ? 5_000 : 10_000,
        keepsDone
      })
      addSample(keepsDone ? on : off, system, result.rate)
      if (keepsDone) addSample(cpu, system, result.cpuMicros)
    })
    const { kretes: recorded = [], bullmq = [] } = on.samples
    return {
      rows: [on, off, cpu],
      demands: [
        {
          label: 'Drain rate with the ledger / without',
          value: ratio(recorded, off.samples.kretes ?? []),
          atLeast: 0.6
        },
        ...(bullmq.length > 0
          ? [
              {
                label: 'Drain rate with the ledger / BullMQ on Redis keeping jobs',
                value: ratio(recorded, bullmq),
                atLeast: 1
              }
            ]
          : [])
      ]
    }
  }
}
