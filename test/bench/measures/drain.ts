import { build, drainByCommand } from '../command.ts'
import { drain } from '../drain.ts'
import { addSample, createRow, interleave, type Measure } from '../measure.ts'
import { type System, systems } from '../report.ts'
import { ratio } from '../statistics.ts'

interface Subject {
  system: System
  /** Whether jobs that are done stay. */
  keepsDone?: boolean
  isCommand?: boolean
}

/** How fast one worker runs jobs that do nothing. */
export const parallel: Measure = {
  name: 'drain',
  description: 'rate at which a worker runs waiting jobs that do nothing',
  async run({ databases, peers, isQuick }) {
    await build()
    const count = isQuick ? 10_000 : 30_000
    const rate = createRow(`Drain ${count.toLocaleString('en')} jobs`, 'jobs/s', 'higher')
    const cpu = createRow("  the worker's own CPU", 'µs/job', 'lower')
    const kept = createRow('  jobs that are done stay (kretes: with its ledger)', 'jobs/s', 'higher')
    const command = createRow('  through kretes bg, which logs each', 'jobs/s', 'higher')
    const subjects: Subject[] = [
      ...systems.map(system => ({ system })),
      { system: 'kretes', isCommand: true },
      // pg-boss deletes nothing until its maintenance does.
      ...peers.filter(system => system !== 'pgboss').map(system => ({ system })),
      ...(peers.length > 0 ? (['kretes', ...peers] as const) : []).map(system => ({ system, keepsDone: true }))
    ]
    await interleave(isQuick ? 2 : 5, subjects, async ({ system, keepsDone = false, isCommand }) => {
      if (isCommand) {
        addSample(command, 'kretes', await drainByCommand(databases, count, count / 10))
        return
      }
      const result = await drain(databases, system, {
        fillings: [{ task: 'Trivial', count, queues: 0 }],
        warmUp: count / 10,
        limitMs: isQuick ? 3_000 : 5_000,
        keepsDone
      })
      addSample(keepsDone ? kept : rate, system, result.rate)
      if (!keepsDone) addSample(cpu, system, result.cpuMicros)
    })
    const { kretes = [], defaults = [], tuned = [] } = rate.samples
    return {
      rows: [rate, cpu, ...(peers.length > 0 ? [kept] : []), command],
      demands: [
        { label: 'Drain rate / graphile-worker tuned', value: ratio(kretes, tuned), atLeast: 0.85 },
        { label: 'Drain rate / graphile-worker with its defaults', value: ratio(kretes, defaults), atLeast: 5 }
      ]
    }
  }
}
