import { setTimeout as sleep } from 'node:timers/promises'
import type { Child } from '../../helpers/process.ts'
import { type Arena, createArena } from '../arena.ts'
import { addUp, type Fault, type Outcome, type Round, within } from '../fault.ts'
import { demandAfterLoss, type Verdict } from '../verdict.ts'

export const killOneOfTwo: Fault = {
  name: 'kill -9 of one of two workers with 200 jobs in flight',
  isAlone: false,
  run: round =>
    repeat(round, 'To run all jobs after the kill', async (arena, random) => {
      const [victim] = await Promise.all([arena.work(), arena.work()])
      await arena.schedule({ count: 160, ms: 400 })
      await arena.schedule({ count: 40, ms: 100, queues: 4 })
      await sleep(500 + random() * 1_500)
      const held = await kill(arena, victim)
      return { held, tookMs: await arena.whenEnded(200) }
    })
}

export const killTheOnlyOne: Fault = {
  name: 'kill -9 of the only worker, which is then started again',
  isAlone: false,
  run: round =>
    repeat(round, 'To run all jobs after the restart', async (arena, random) => {
      const victim = await arena.work()
      await arena.schedule({ count: 60, ms: 200 })
      await arena.schedule({ count: 40, ms: 50, queues: 4 })
      await sleep(300 + random() * 700)
      const held = await kill(arena, victim)
      await sleep(random() * 3_000)
      const beganMs = performance.now()
      await arena.work()
      await arena.whenEnded(100)
      return { held, tookMs: performance.now() - beganMs }
    })
}

export const killOnLastAttempt: Fault = {
  name: 'kill -9 during the last attempt of a job, which runs again',
  isAlone: false,
  run: round =>
    repeat(round, 'To run the job again', async arena => {
      const victim = await arena.work()
      await arena.schedule({ count: 1, ms: 2_000, maxAttempts: 1 })
      await arena.whenBegun(1)
      const held = await kill(arena, victim)
      await arena.work()
      return { held, tookMs: await arena.whenEnded(1) }
    })
}

/** Kills a worker at a random moment, as often as the pass demands, each time in an arena of its own. */
async function repeat(
  { server, scale, random }: Round,
  what: string,
  kill: (arena: Arena, random: () => number) => Promise<{ held: readonly string[]; tookMs: number }>
): Promise<Outcome> {
  const rounds = scale === 'full' ? 3 : 1
  const verdicts: Verdict[] = []
  let slowestMs = 0
  for (let round = 0; round < rounds; round++) {
    const arena = await createArena(server)
    const { held, tookMs } = await kill(arena, random)
    await arena.whenSettled()
    verdicts.push(await demandAfterLoss(arena, held))
    within(15_000, tookMs, what, scale)
    slowestMs = Math.max(slowestMs, tookMs)
  }
  return { rounds, verdict: addUp(verdicts), recoveryMs: slowestMs }
}

/** Kills a worker, and tells which jobs it held: those that it ran, and those that had ended and were to be completed. */
async function kill(arena: Arena, victim: Child): Promise<readonly string[]> {
  victim.kill('SIGKILL')
  await victim.exit
  return await arena.heldBy(victim.pid)
}
