import { addSample, createRow, type Measure } from '../measure.ts'
import { median, ratio } from '../statistics.ts'
import { measureIn } from '../subject.ts'
import type { OverheadResult, OverheadSettings } from '../subjects/overhead.ts'
import type { StreamResult, StreamSettings } from '../subjects/stream.ts'

/** What kretes itself costs, against the least that one could do without it. */
export const overhead: Measure = {
  name: 'overhead',
  description: 'what grouping costs an idle application, and the memory of a long stream',
  async run({ databases, isQuick }) {
    const call = createRow('Schedule with nothing under way, p50', 'ms', 'lower')
    const direct = createRow('  a prepared add_job, no kretes', 'ms', 'lower')
    for (let round = 0; round < (isQuick ? 1 : 5); round++) {
      await using database = await databases.create('kretes')
      const settings = { url: database.url, count: isQuick ? 500 : 2_000 }
      const { scheduleMs, directMs } = await measureIn<OverheadSettings, OverheadResult>('overhead', settings)
      addSample(call, 'kretes', scheduleMs)
      addSample(direct, 'kretes', directMs)
    }
    const count = isQuick ? 100_000 : 1_000_000
    const rate = createRow(`Stream ${count.toLocaleString('en')} jobs`, 'jobs/s', 'higher')
    const memory = createRow('  resident memory above start', 'MB', 'lower')
    await using database = await databases.create('kretes')
    const stream = await measureIn<StreamSettings, StreamResult>('stream', { url: database.url, count })
    addSample(rate, 'kretes', stream.rate)
    addSample(memory, 'kretes', stream.aboveStart / 1e6)
    const added = (ratio(call.samples.kretes ?? [], direct.samples.kretes ?? []) - 1) * 100
    return {
      rows: [call, direct, rate, memory],
      demands: [
        { label: 'Added to a direct add_job, %', value: added, atMost: 5 },
        { label: 'Memory of the stream above start, MB', value: median(memory.samples.kretes ?? []), atMost: 120 }
      ]
    }
  }
}
