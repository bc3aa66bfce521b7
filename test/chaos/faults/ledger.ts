import { setTimeout as sleep } from 'node:timers/promises'
import type { Child } from '../../helpers/process.ts'
import { until } from '../../helpers/until.ts'
import { type Arena, createArena } from '../arena.ts'
import type { Fault } from '../fault.ts'
import { demandLedger } from '../recount.ts'

export const killAgainAndAgain: Fault = {
  name: 'kill -9 of one worker after another, of two, and the ledger counts every job once',
  isAlone: false,
  async run({ server, scale, random }) {
    const isFull = scale === 'full'
    const arena = await createArena(server)
    // In portions, so that however fast they run, there is work at each of so many kills.
    const portions = isFull ? 50 : 4
    const workers = await Promise.all([startNamed(arena, 0), startNamed(arena, 1)])
    const held: string[] = []
    let kills = 0
    while (kills < portions || (await hasMore(arena))) {
      if (kills < portions) {
        await arena.schedule({ task: 'Light', count: 50, ms: 1, queues: 10 })
        await arena.schedule({ task: 'Light', count: isFull ? 1_950 : 700, ms: isFull ? 10 : 30 })
      }
      // A short portion is over in a second.
      await sleep(isFull ? 300 + random() * 1_200 : 100 + random() * 500)
      const index = random() < 0.5 ? 0 : 1
      held.push(...(await kill(arena, workers[index]!)))
      kills++
      workers[index] = await startNamed(arena, kills + 1)
      // A worker judges others only when it has lived for a while itself: now and then two of them may.
      if (isFull && kills % 12 === 0) await whenRescued(arena)
    }
    const beganMs = performance.now()
    await arena.whenSettled()
    const recoveryMs = performance.now() - beganMs
    if (held.length === 0) throw new Error(`None of the ${kills} killed workers held a job`)
    const verdict = await demandLedger(arena, held)
    return { rounds: kills, verdict, recoveryMs, note: `${held.length} lost runs of ${kills} killed workers` }
  }
}

interface Named {
  readonly name: string
  readonly child: Child
}

/** Starts a worker all of whose sessions bear a name. It gives no job up, however many workers the job sees die. */
async function startNamed(arena: Arena, index: number): Promise<Named> {
  const name = `worker-${index}`
  const url = new URL(arena.url)
  url.searchParams.set('application_name', name)
  return { name, child: await arena.work({ maxLosses: 1_000 }, url.href) }
}

/** Kills a worker, and tells which jobs it left behind once the server has carried out its last statements. */
async function kill(arena: Arena, { name, child }: Named): Promise<readonly string[]> {
  const [seen] = await arena.sql`select from pg_stat_activity where application_name = ${name}`
  if (!seen) throw new Error(`Cannot tell the sessions of ${name} from others`)
  child.kill('SIGKILL')
  await child.exit
  const isGone = async (): Promise<boolean> =>
    (await arena.sql`select from pg_stat_activity where application_name = ${name}`).length === 0
  await until(isGone, { what: `the end of the sessions of ${name}` })
  return await arena.heldBy(child.pid)
}

/** Whether there are jobs that no worker, living or dead, has fetched or keeps from being fetched. */
async function hasMore({ sql }: Arena): Promise<boolean> {
  const rows = await sql`
    select from graphile_worker._private_jobs where locked_at is null and job_queue_id is null limit 1`
  return rows.length > 0
}

/** Waits until only the living are on the register. */
async function whenRescued({ sql }: Arena): Promise<void> {
  const isOver = async (): Promise<boolean> => (await sql`select from kretes.workers`).length <= 2
  await until(isOver, { timeoutMs: 120_000, intervalMs: 50, what: 'the dead to be taken off the register' })
}
