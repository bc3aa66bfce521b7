import { setTimeout as sleep } from 'node:timers/promises'
import { createArena } from '../arena.ts'
import { addUp, type Fault, within } from '../fault.ts'
import { demand, judge, type Verdict } from '../verdict.ts'

/** How many jobs a killed worker may have been running: its concurrency. */
const RUNNING = 10

/** How many it may have run to their end whose completion had not been committed: at most as many again. */
const COMPLETING = 10

/** What kill -9 excuses. A job that ran again after its end counts among the duplicates, too. */
const EXCUSED = { duplicates: RUNNING + COMPLETING, rerun: COMPLETING }

export const killOneOfTwo: Fault = {
  name: 'kill -9 of one of two workers with 200 jobs in flight',
  isAlone: false,
  async run({ server, scale, random }) {
    const rounds = scale === 'full' ? 3 : 1
    const verdicts: Verdict[] = []
    let slowestMs = 0
    for (let round = 0; round < rounds; round++) {
      const arena = await createArena(server)
      const [victim] = await Promise.all([arena.work(), arena.work()])
      await arena.schedule({ count: 160, ms: 400 })
      await arena.schedule({ count: 40, ms: 100, queues: 4 })
      await sleep(500 + random() * 1_500)
      victim.kill('SIGKILL')
      const tookMs = await arena.whenEnded(200, 30_000)
      await arena.whenSettled()
      const verdict = await judge(arena)
      demand(verdict, EXCUSED)
      within(15_000, tookMs, 'To run all jobs after the kill')
      slowestMs = Math.max(slowestMs, tookMs)
      verdicts.push(verdict)
    }
    return { rounds, verdict: addUp(verdicts), recoveryMs: slowestMs }
  }
}

export const killTheOnlyOne: Fault = {
  name: 'kill -9 of the only worker, which is then started again',
  isAlone: false,
  async run({ server, scale, random }) {
    const rounds = scale === 'full' ? 3 : 1
    const verdicts: Verdict[] = []
    let slowestMs = 0
    for (let round = 0; round < rounds; round++) {
      const arena = await createArena(server)
      const victim = await arena.work()
      await arena.schedule({ count: 60, ms: 200 })
      await arena.schedule({ count: 40, ms: 50, queues: 4 })
      await sleep(300 + random() * 700)
      victim.kill('SIGKILL')
      await sleep(random() * 3_000)
      const beganMs = performance.now()
      await arena.work()
      await arena.whenEnded(100, 30_000)
      const tookMs = performance.now() - beganMs
      await arena.whenSettled()
      const verdict = await judge(arena)
      demand(verdict, EXCUSED)
      within(15_000, tookMs, 'To run all jobs after the restart')
      slowestMs = Math.max(slowestMs, tookMs)
      verdicts.push(verdict)
    }
    return { rounds, verdict: addUp(verdicts), recoveryMs: slowestMs }
  }
}

export const killOnLastAttempt: Fault = {
  name: 'kill -9 during the last attempt of a job, which runs again',
  isAlone: false,
  async run({ server }) {
    const arena = await createArena(server)
    const victim = await arena.work()
    await arena.schedule({ count: 1, ms: 2_000, maxAttempts: 1 })
    await arena.sql`select 1`
    await sleep(1_000)
    victim.kill('SIGKILL')
    await arena.work()
    const recoveryMs = await arena.whenEnded(1, 30_000)
    await arena.whenSettled()
    const verdict = await judge(arena)
    demand(verdict, { duplicates: 1 })
    within(17_000, recoveryMs, 'To run the job again')
    return { rounds: 1, verdict, recoveryMs }
  }
}
