import { addSample, createRow, interleave, type Measure } from '../measure.ts'
import type { Row, System } from '../report.ts'
import { ratio } from '../statistics.ts'
import { openStore } from '../store.ts'
import { measureIn } from '../subject.ts'
import type { ScheduleResult, ScheduleSettings } from '../subjects/schedule.ts'

/** How fast one application schedules, with a pool of four connections. */
export const schedule: Measure = {
  name: 'schedule',
  description: 'schedule rate: one by one, with many calls in flight, and in bulk',
  async run({ databases, peers, isQuick }) {
    const sizes = {
      atOnce: isQuick ? 2_000 : 10_000,
      batched: isQuick ? 10_000 : 50_000,
      bulk: isQuick ? 20_000 : 100_000
    }
    const inWords = (count: number): string => count.toLocaleString('en')
    const oneByOne = createRow('Schedule, one by one', 'jobs/s', 'higher')
    const concurrent = createRow(`  ${inWords(sizes.atOnce)} calls at once`, 'jobs/s', 'higher')
    const batches = createRow('  in batches of 500', 'jobs/s', 'higher')
    const bulk = createRow(`  ${inWords(sizes.bulk)} in one call`, 'jobs/s', 'higher')
    await interleave(isQuick ? 1 : 3, ['kretes', 'defaults', ...peers] as const, async system => {
      await using store = await openStore(databases, system)
      const settings = { system, url: store.url, durationMs: isQuick ? 1_000 : 2_000, ...sizes }
      const result = await measureIn<ScheduleSettings, ScheduleResult>('schedule', settings)
      addSample(oneByOne, system, result.oneByOne)
      addSample(concurrent, system, result.concurrent)
      addSample(batches, system, result.batches)
      addSample(bulk, system, result.bulk)
    })
    return {
      rows: [oneByOne, concurrent, batches, bulk],
      demands: [
        { label: 'One by one / graphile-worker', value: ratioTo(oneByOne, 'defaults'), atLeast: 1.2 },
        { label: 'Calls at once / graphile-worker', value: ratioTo(concurrent, 'defaults'), atLeast: 20 },
        { label: 'Calls at once / BullMQ on Redis', value: ratioTo(concurrent, 'bullmq'), atLeast: 1.2 },
        { label: 'Batches of 500 / graphile-worker', value: ratioTo(batches, 'defaults'), atLeast: 1 },
        { label: 'One bulk call / graphile-worker', value: ratioTo(bulk, 'defaults'), atLeast: 1 }
      ]
    }
  }
}

function ratioTo({ samples }: Row, system: System): number {
  return ratio(samples.kretes ?? [], samples[system] ?? [])
}
