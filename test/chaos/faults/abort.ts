import type { Child } from '../../helpers/process.ts'
import { until } from '../../helpers/until.ts'
import { createArena } from '../arena.ts'
import type { Fault } from '../fault.ts'
import { demandAfterLoss } from '../verdict.ts'

interface Failed {
  last_error: string
  lost: number
}

export const abortEveryTime: Fault = {
  name: 'a job that calls process.abort() every time, beside 100 others',
  isAlone: false,
  async run({ server }) {
    const arena = await createArena(server)
    const { sql } = arena
    await arena.schedule({ task: 'Abort', count: 1, ms: 100, priority: -1, maxAttempts: 5 })
    await arena.schedule({ count: 100, ms: 300 })
    const beganMs = performance.now()

    // As a service manager would: one that ended is started again.
    let lost = 0
    const held: string[] = []
    let isOver = false
    let current: Child | undefined
    const keeping = (async () => {
      while (!isOver) {
        current = await arena.work().catch(() => undefined)
        await current?.exit
        if (isOver) break
        lost++
        if (current) held.push(...(await arena.heldBy(current.pid)))
      }
    })()
    await arena.whenEnded(100)
    const failed = await until(
      async () => {
        const [row] = await sql<Failed[]>`
          select last_error, (flags ->> 'kretes:lost')::int as lost
          from graphile_worker._private_jobs where attempts >= max_attempts`
        return row
      },
      { timeoutMs: 120_000, what: 'the job that aborts to fail for good' }
    )
    if (!failed) throw new Error('The job has not failed for good')
    const recoveryMs = performance.now() - beganMs
    await arena.whenSettled(1)
    isOver = true
    current?.kill('SIGTERM')
    await keeping

    const [{ wasted } = { wasted: -1 }] = await sql<{ wasted: number }[]>`
      select count(*)::int as wasted from chaos.runs join chaos.jobs using (job) where task = 'Work' and attempt > 1`
    if (wasted > 0) throw new Error(`${wasted} innocent jobs lost an attempt`)
    if (failed.lost !== 3) throw new Error(`The job was given up after ${failed.lost} lost workers, not 3`)
    if (!/Lost 3 workers/.test(failed.last_error)) throw new Error(`Its error says: ${failed.last_error}`)
    if (lost !== 3) throw new Error(`${lost} workers were lost, not 3`)
    const verdict = await demandAfterLoss(arena, held)
    return { rounds: 1, verdict, recoveryMs, note: 'failed for good after 3 workers' }
  }
}
