import { setTimeout as sleep } from 'node:timers/promises'
import { createArena } from '../arena.ts'
import type { Fault } from '../fault.ts'
import { demand, judge } from '../verdict.ts'
import { endWell } from './database.ts'

export const interrupts: Fault = {
  name: 'Ctrl-C under load',
  isAlone: true,
  async run({ server, scale, random }) {
    const rounds = scale === 'full' ? 20 : 3
    const arena = await createArena(server)
    await arena.schedule({ count: rounds * 200, ms: 20 })
    await arena.schedule({ count: rounds * 20, ms: 20, queues: 4 })
    let slowestMs = 0
    for (let round = 0; round < rounds; round++) {
      const worker = await arena.work()
      await sleep(random() * 400)
      const beganMs = performance.now()
      worker.killGroup('SIGINT')
      const { code, stdout, stderr } = await worker.exit
      slowestMs = Math.max(slowestMs, performance.now() - beganMs)
      if (code !== 0 || stderr) throw new Error(`It ended with ${code}; it wrote ${stdout}${stderr}`)
      const { locked, duplicates } = await judge(arena)
      if (locked > 0 || duplicates > 0) throw new Error(`${locked} jobs are still locked, ${duplicates} ran twice`)
    }
    const last = await arena.work()
    await arena.whenEnded(rounds * 220)
    await arena.whenSettled()
    await endWell([last])
    const verdict = await judge(arena)
    demand(verdict)
    return { rounds, verdict, recoveryMs: slowestMs, note: 'time: from signal to exit' }
  }
}
