import { setTimeout as sleep } from 'node:timers/promises'
import type { Child } from '../../helpers/process.ts'
import { until } from '../../helpers/until.ts'
import { type Arena, createArena } from '../arena.ts'
import { type Fault, within } from '../fault.ts'
import { createProxy } from '../proxy.ts'
import { demand, judge } from '../verdict.ts'

export const restarts: Fault = {
  name: 'PostgreSQL restarted under load, fast and immediate by turns',
  isAlone: true,
  async run({ server, scale, random }) {
    const rounds = scale === 'full' ? 10 : 2
    const arena = await createArena(server)
    const count = rounds * 600
    const workers = await Promise.all([arena.work(), arena.work()])
    await arena.schedule({ count: count - rounds * 40, ms: 15 })
    await arena.schedule({ count: rounds * 40, ms: 5, queues: 4 })
    let slowestMs = 0
    for (let round = 0; round < rounds; round++) {
      await sleep(300 + random() * 700)
      await server.restart(round % 2 === 0 ? 'INT' : 'QUIT')
      const done = await arena.ended()
      slowestMs = Math.max(slowestMs, await arena.whenEnded(Math.min(count, done + 20)))
    }
    await arena.whenEnded(count)
    await arena.whenSettled()
    const verdict = await judge(arena)
    demand(verdict)
    within(5_000, slowestMs, 'To go on after a restart', scale)
    await endWell(workers)
    return { rounds, verdict, recoveryMs: slowestMs }
  }
}

export const terminations: Fault = {
  name: 'every backend terminated once a second',
  isAlone: true,
  async run({ server, scale }) {
    const seconds = scale === 'full' ? 30 : 5
    const count = scale === 'full' ? 10_000 : 2_000
    const arena = await createArena(server)
    const worker = await arena.work()
    // So many that some are left when the last fault is over: ten at a time.
    const ms = Math.round(((seconds + 1) * 10_000) / (count * 0.75))
    await arena.schedule({ count: count - 200, ms })
    await arena.schedule({ count: 200, ms: 5, queues: 10 })
    await arena.whenEnded(50)
    const usualPerSecond = await rateOf(arena, 1_000)
    for (let second = 0; second < seconds; second++) {
      await terminateAll(arena)
      await sleep(1_000)
    }
    const recoveryMs = await backToNormal(arena, usualPerSecond, count)
    await arena.whenEnded(count)
    await arena.whenSettled()
    const verdict = await judge(arena)
    demand(verdict)
    within(5_000, recoveryMs, 'To be back at half the usual rate', scale)
    await endWell([worker])
    return { rounds: seconds, verdict, recoveryMs }
  }
}

export const halfOpen: Fault = {
  name: 'connections that hang without closing',
  isAlone: false,
  async run({ server, scale, random }) {
    const rounds = scale === 'full' ? 3 : 1
    const arena = await createArena(server)
    const proxy = await createProxy(arena.url)
    const worker = await arena.work({}, proxy.url)
    let slowestMs = 0
    let count = 0
    for (let round = 0; round < rounds; round++) {
      count += 100
      await arena.schedule({ count: 80, ms: 50 })
      await arena.schedule({ count: 20, ms: 10, queues: 4 })
      // Once in the midst of the jobs, then with the worker at rest.
      if (round % 2 === 1) await arena.whenEnded(count)
      else await sleep(100 + random() * 200)
      const beganMs = performance.now()
      proxy.hang()
      await until(() => proxy.hanging() === 0, { timeoutMs: 120_000, what: 'the connections to be replaced' })
      await arena.whenEnded(count)
      const tookMs = performance.now() - beganMs
      slowestMs = Math.max(slowestMs, tookMs)
      within(30_000, tookMs, 'To notice and replace what hangs', scale)
    }
    await arena.whenSettled()
    const verdict = await judge(arena)
    demand(verdict)
    await endWell([worker])
    return { rounds, verdict, recoveryMs: slowestMs }
  }
}

/** The connections of everybody but the referee. */
async function terminateAll({ sql }: Arena): Promise<void> {
  await sql`
    select pg_terminate_backend(pid) from pg_stat_activity
    where datname = current_database() and application_name <> 'referee'`
}

/** How long until a second brings half of what it should; 0 if nothing is left to do. */
async function backToNormal(arena: Arena, usualPerSecond: number, count: number): Promise<number> {
  const beganMs = performance.now()
  let atMs = beganMs
  const isBack = async (): Promise<boolean> => {
    atMs = performance.now()
    const rate = await rateOf(arena, 500)
    return rate > usualPerSecond / 2 || (await arena.ended()) >= count
  }
  await until(isBack, { timeoutMs: 60_000, intervalMs: 0, what: `half of ${usualPerSecond} jobs a second` })
  return atMs - beganMs
}

/** How many jobs end in a second. */
async function rateOf(arena: Arena, windowMs: number): Promise<number> {
  const before = await arena.ended()
  const fromMs = performance.now()
  await sleep(windowMs)
  return (((await arena.ended()) - before) * 1_000) / (performance.now() - fromMs)
}

/** Whoever went through it is alive, stops when asked, and has left no rejection unhandled. */
export async function endWell(workers: readonly Child[]): Promise<void> {
  for (const worker of workers) worker.kill('SIGTERM')
  for (const worker of workers) {
    const { code, signal, stdout, stderr } = await worker.exit
    if (stderr) throw new Error(`The worker wrote to its standard error: ${stderr}`)
    if (code !== 0) throw new Error(`The worker ended with ${code ?? signal}; it wrote ${stdout}`)
  }
}
