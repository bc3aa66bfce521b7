import { setTimeout as sleep } from 'node:timers/promises'
import { createArena } from '../arena.ts'
import type { Fault } from '../fault.ts'
import { demand, judge } from '../verdict.ts'

export const blockedEventLoop: Fault = {
  name: 'a task that blocks the event loop, beside a second worker',
  isAlone: false,
  async run({ server, scale }) {
    const blockedMs = scale === 'full' ? 60_000 : 10_000
    const arena = await createArena(server)
    await arena.schedule({ task: 'Block', count: 1, ms: blockedMs, priority: -1 })
    await arena.work()
    await arena.whenBegun(1)
    await arena.work()
    await arena.schedule({ count: 50, ms: 50, queues: 5 })
    const recoveryMs = await arena.whenEnded(51, blockedMs + 60_000)
    await arena.whenSettled()
    const verdict = await judge(arena)
    demand(verdict)
    return { rounds: 1, verdict, recoveryMs, note: `blocked for ${blockedMs / 1_000} s, included` }
  }
}

export const stoppedProcess: Fault = {
  name: 'a worker stopped with SIGSTOP and continued, beside a second one',
  isAlone: false,
  async run({ server, scale, random }) {
    const stoppedMs = scale === 'full' ? 60_000 : 10_000
    const arena = await createArena(server)
    const victim = await arena.work()
    await arena.schedule({ count: 100, ms: 200 })
    await arena.schedule({ count: 40, ms: 20, queues: 4 })
    await sleep(300 + random() * 500)
    victim.kill('SIGSTOP')
    await arena.work()
    await sleep(stoppedMs)
    victim.kill('SIGCONT')
    const recoveryMs = await arena.whenEnded(140)
    await arena.whenSettled()
    const verdict = await judge(arena)
    // Its kernel keeps its session, and with it its lock: nobody takes it for dead.
    demand(verdict)
    victim.kill('SIGTERM')
    const { code } = await victim.exit
    if (code !== 0) throw new Error(`The worker ended with ${code}`)
    return { rounds: 1, verdict, recoveryMs, note: `stopped for ${stoppedMs / 1_000} s` }
  }
}
