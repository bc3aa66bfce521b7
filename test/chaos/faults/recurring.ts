import { setTimeout as sleep } from 'node:timers/promises'
import { createBackground } from '../../../src/background.ts'
import type { Child } from '../../helpers/process.ts'
import { type Arena, createArena } from '../arena.ts'
import { type Fault, within } from '../fault.ts'
import { demandOccurrences, judgeOccurrences, whenAllScheduled } from '../occurrences.ts'
import { endWell } from './database.ts'

export const recurringJobs: Fault = {
  name: 'recurring jobs while workers are killed and PostgreSQL crashes: each occurrence has one job',
  isAlone: true,
  async run({ server, scale, random }) {
    const { workerCount, entries, seconds, crashes } = SCALES[scale]
    const arena = await createArena(server)
    const workers = await Promise.all(Array.from({ length: workerCount }, () => startWorker(arena)))
    const endMs = performance.now() + (await setEntries(arena, entries, seconds, random)) - 500
    const beganMs = performance.now()
    let kills = 0
    let crashed = 0
    while (performance.now() < endMs) {
      await sleep(random() * 500)
      const index = Math.floor(random() * workers.length)
      workers[index]!.kill('SIGKILL')
      kills++
      const passed = (performance.now() - beganMs) / (endMs - beganMs)
      if (crashed < crashes && passed > (crashed + random()) / crashes) {
        await server.restart('QUIT')
        crashed++
      }
      workers[index] = await startWorker(arena)
    }
    await whenAllScheduled(arena.sql)
    await arena.whenSettled()
    const { expected: jobs, latestMs, ...found } = await judgeOccurrences(arena.sql)
    demandOccurrences({ expected: jobs, latestMs, ...found })
    // A crash of the server is noticed, and outlived, as by other jobs.
    within(5_000, latestMs, 'To schedule an occurrence', scale)
    await endWell(workers)
    const verdict = { jobs, lost: 0, duplicates: 0, rerun: 0, overlaps: 0, overtaken: 0, locked: 0, failed: 0 }
    return {
      rounds: kills,
      verdict,
      recoveryMs: latestMs,
      note: `${kills} killed workers, ${crashed} crashes of PostgreSQL; time: from an occurrence to its job`
    }
  }
}

const SCALES = {
  full: { workerCount: 8, entries: 200, seconds: 60, crashes: 2 },
  short: { workerCount: 3, entries: 20, seconds: 4, crashes: 1 }
}

/** Sets recurring jobs of an interval of a second, half of them at the same moments. Returns when the last one ends. */
async function setEntries(arena: Arena, count: number, seconds: number, random: () => number): Promise<number> {
  const [clock] = await arena.sql<{ ms: string }[]>`
    select (extract(epoch from clock_timestamp()) * 1000)::bigint::text as ms`
  const readMs = performance.now()
  // Later than a busy machine takes to set them: occurrences before that have no jobs.
  const firstMs = Number(clock?.ms) + SETTING_MS
  const names = Array.from({ length: count }, (_, index) => `tick ${index}`)
  await using background = createBackground({ connection: arena.url })
  await Promise.all(
    names.map((name, index) => {
      const startMs = firstMs + (index % 2 === 0 ? 0 : Math.floor(random() * 1_000))
      const end = new Date(startMs + (seconds - 1) * 1_000)
      return background.recurring.set(name, { ...TICK, start: new Date(startMs), end })
    })
  )
  return seconds * 1_000 + SETTING_MS - (performance.now() - readMs)
}

const SETTING_MS = 5_000

const TICK = { task: 'Light', every: '1s', overlap: 'allow' } as const

/** Starts a worker that gives no job up, however many workers the job sees die. */
function startWorker(arena: Arena): Promise<Child> {
  return arena.work({ maxLosses: 1_000 })
}
