import { addSample, createRow, interleave, type Measure } from '../measure.ts'
import type { Row } from '../report.ts'
import { ratio } from '../statistics.ts'
import { watchQueue } from '../watch.ts'

/** What seven more workers beside one busy queue do to it, and to the database. */
export const herd: Measure = {
  name: 'herd',
  description: 'one queue beside one worker and beside eight, and what the database spends',
  async run({ databases, isQuick }) {
    const windowMs = isQuick ? 2_500 : 5_000
    const full = { one: createRows('One queue, 1 worker', 1, 0), eight: createRows('One queue, 8 workers', 8, 0) }
    const fed = {
      one: createRows('One queue fed by 50 jobs/s, 1 worker', 1, 50),
      eight: createRows('One queue fed by 50 jobs/s, 8 workers', 8, 50)
    }
    const all = [full.one, full.eight, fed.one, fed.eight]
    await interleave(isQuick ? 1 : 2, all, async ({ workers, feed, rate, cpu }) => {
      const spent = await watchQueue(databases, { workers, feed, windowMs })
      addSample(rate, 'kretes', spent.rate)
      addSample(cpu, 'kretes', spent.cpu)
    })
    return {
      rows: all.flatMap(({ rate, cpu }) => [rate, cpu]),
      demands: [
        { label: 'Rate of one queue, eight workers / one', value: grown(full, 'rate'), atLeast: 0.85 },
        { label: '  the database’s CPU', value: grown(full, 'cpu'), atMost: 2 },
        { label: 'Rate of one queue that is fed, eight workers / one', value: grown(fed, 'rate'), atLeast: 0.85 },
        { label: '  the database’s CPU', value: grown(fed, 'cpu'), atMost: 2 }
      ]
    }
  }
}

interface Rows {
  workers: number
  feed: number
  rate: Row
  cpu: Row
}

function createRows(label: string, workers: number, feed: number): Rows {
  return {
    workers,
    feed,
    rate: createRow(label, 'jobs/s', 'higher'),
    cpu: createRow('  the database’s CPU', 'ms/s', 'lower')
  }
}

function grown({ one, eight }: { one: Rows; eight: Rows }, name: 'rate' | 'cpu'): number {
  return ratio(eight[name].samples.kretes ?? [], one[name].samples.kretes ?? [])
}
