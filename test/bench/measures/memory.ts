import { addSample, createRow, type Measure } from '../measure.ts'
import { median } from '../statistics.ts'
import { measureIn } from '../subject.ts'
import type { MemoryResult, MemorySettings } from '../subjects/memory.ts'

/** Whether a worker's memory grows with the jobs that it runs. */
export const memory: Measure = {
  name: 'memory',
  description: "a worker's resident memory over a million jobs",
  async run({ databases, isQuick }) {
    const count = isQuick ? 200_000 : 1_000_000
    const early = createRow(`Resident memory after ${FIRST.toLocaleString('en')} jobs`, 'MB', 'lower')
    const late = createRow(`  after ${count.toLocaleString('en')}`, 'MB', 'lower')
    const most = createRow('  at most', 'MB', 'lower')
    await using database = await databases.create('kretes', [{ task: 'Trivial', count, queues: 0 }])
    const settings = { url: database.url, count, every: EVERY }
    const { residentBytes } = await measureIn<MemorySettings, MemoryResult>('memory', settings)
    const before = sizeAfter(residentBytes, FIRST)
    const after = sizeAfter(residentBytes, count)
    addSample(early, 'kretes', before)
    addSample(late, 'kretes', after)
    addSample(most, 'kretes', Math.max(...residentBytes) / 1e6)
    return {
      rows: [early, late, most],
      demands: [{ label: 'Memory grown since the first 100,000 jobs, MB', value: after - before, atMost: 30 }]
    }
  }
}

/** In MB; the middle of the last looks, for between two collections of garbage each differs from the one before. */
function sizeAfter(residentBytes: readonly number[], jobs: number): number {
  const until = jobs / EVERY
  return median(residentBytes.slice(until - LOOKS, until)) / 1e6
}

const FIRST = 100_000
const EVERY = 1_000
const LOOKS = 20
