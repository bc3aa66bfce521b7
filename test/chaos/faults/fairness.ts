import { createArena } from '../arena.ts'
import { addUp, type Fault, within } from '../fault.ts'
import { demand, judge, type Verdict } from '../verdict.ts'
import { endWell } from './database.ts'

export const hoarding: Fault = {
  name: '100 jobs of one second, all prefetched by one of two workers',
  isAlone: true,
  async run({ server, scale }) {
    const rounds = scale === 'full' ? 3 : 1
    const verdicts: Verdict[] = []
    let slowestMs = 0
    for (let round = 0; round < rounds; round++) {
      const arena = await createArena(server)
      const workers = await Promise.all([arena.work({ localQueueSize: 100 }), arena.work({ localQueueSize: 100 })])
      await arena.schedule({ count: 100, ms: 1_000 })
      const tookMs = await arena.whenEnded(100, 30_000)
      // The short pass shares the machine with other faults.
      within(scale === 'full' ? 6_000 : 9_000, tookMs, 'To run 100 jobs of one second, twenty at a time,')
      slowestMs = Math.max(slowestMs, tookMs)
      await arena.whenSettled()
      const verdict = await judge(arena)
      demand(verdict)
      verdicts.push(verdict)
      await endWell(workers)
    }
    return { rounds, verdict: addUp(verdicts), recoveryMs: slowestMs, note: 'time: from schedule to the last end' }
  }
}
