import { addSample, createRow, type Measure } from '../measure.ts'
import { systems } from '../report.ts'
import { percentile, seeded } from '../statistics.ts'
import { startSubject } from '../subject.ts'
import type { LatenessResult, LatenessSettings } from '../subjects/lateness.ts'

/** How late delayed jobs begin. The workers do next to nothing, so all systems are measured at the same time. */
export const lateness: Measure = {
  name: 'lateness',
  description: 'how long after their time delayed jobs begin',
  async run({ databases, isQuick }) {
    const count = isQuick ? 20 : 60
    const middle = createRow(`Lateness of ${count} delayed jobs, p50`, 'ms', 'lower')
    const tail = createRow('  p99', 'ms', 'lower')
    const random = seeded(60)
    const delaysMs = Array.from({ length: count }, () => 100 + random() * 5_000)
    await Promise.all(
      systems.map(async system => {
        await using database = await databases.create(system)
        const settings = { system, url: database.url, count }
        await using worker = startSubject<LatenessSettings, LatenessResult>('lateness', settings)
        await worker.ready
        const nowMs = Date.now()
        await database.sql.begin(async transaction => {
          for (const delayMs of delaysMs) {
            const dueMs = nowMs + delayMs
            await transaction`
              select from graphile_worker.add_job(
                'Trivial',
                payload => json_build_object('dueMs', ${dueMs}::float8),
                run_at => to_timestamp(${dueMs / 1_000}::float8)
              )`
          }
        })
        const { lateMs } = await worker.result
        addSample(middle, system, percentile(lateMs, 50))
        addSample(tail, system, percentile(lateMs, 99))
      })
    )
    return { rows: [middle, tail] }
  }
}
