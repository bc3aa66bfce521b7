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
      const tookMs = await arena.whenEnded(100)
      within(6_000, tookMs, 'To run 100 jobs of one second, twenty at a time,', scale)
      // However slow the machine: what one has prefetched the other runs.
      const shares = await arena.sql<{ count: number }[]>`select count(*)::int from chaos.runs group by worker`
      if (shares.length !== 2 || shares.some(({ count }) => count < 20)) {
        throw new Error(`The workers ran ${shares.map(({ count }) => count).join(' and ')} of 100 jobs`)
      }
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
