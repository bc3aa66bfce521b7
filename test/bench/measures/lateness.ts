import { addSample, createRow, type Measure } from '../measure.ts'
import { systems } from '../report.ts'
import { median, percentile, seeded } from '../statistics.ts'
import { startSubject } from '../subject.ts'
import type { LatenessResult, LatenessSettings } from '../subjects/lateness.ts'
import { openClientOf } from '../subjects/system.ts'

/**
 * How late delayed jobs and retries begin. A third of the jobs is scheduled by the worker's own process, a third by this
 * one, a third in plain SQL. The workers do next to nothing, so all systems are measured at the same time.
 */
export const lateness: Measure = {
  name: 'lateness',
  description: 'how long after their time delayed jobs begin, and retries with a fixed backoff',
  async run({ databases, isQuick }) {
    const third = isQuick ? 20 : 67
    const middle = createRow(`Lateness of ${3 * third} delayed jobs, p50`, 'ms', 'lower')
    const tail = createRow('  p99', 'ms', 'lower')
    const retried = createRow(`Lateness of ${third} retries, p50`, 'ms', 'lower')
    const retriedTail = createRow('  p99', 'ms', 'lower')
    const random = seeded(60)
    const delaysMs = Array.from({ length: third }, () => 500 + random() * (isQuick ? 5_000 : 9_500))
    await Promise.all(
      systems.map(async system => {
        await using database = await databases.create(system)
        // The backoff of the engine alone cannot be chosen: its first retry comes after e seconds.
        const retries = system === 'kretes' ? third : 0
        const settings = { system, url: database.url, delaysMs, others: 2 * third, retries }
        await using worker = startSubject<LatenessSettings, LatenessResult>('lateness', settings)
        await worker.ready
        await using client = await openClientOf(system, database.url)
        for (const delayMs of delaysMs) {
          const dueMs = Date.now() + delayMs
          await client.schedule('Trivial', { dueMs }, new Date(dueMs))
        }
        for (const delayMs of delaysMs) {
          await database.sql`
            select graphile_worker.add_job(
              'Trivial',
              payload => json_build_object('dueMs', extract(epoch from due) * 1000),
              run_at => due
            )
            from (select clock_timestamp() + ${delayMs}::float8 * interval '1 millisecond' as due) as soon`
        }
        const { lateMs, retriesLateMs } = await worker.result
        addSample(middle, system, percentile(lateMs, 50))
        addSample(tail, system, percentile(lateMs, 99))
        if (retries === 0) return
        addSample(retried, system, percentile(retriesLateMs, 50))
        addSample(retriedTail, system, percentile(retriesLateMs, 99))
      })
    )
    return {
      rows: [middle, tail, retried, retriedTail],
      demands: [
        { label: 'Lateness of delayed jobs, p99, ms', value: median(tail.samples.kretes ?? []), atMost: 50 },
        { label: 'Lateness of retries, p99, ms', value: median(retriedTail.samples.kretes ?? []), atMost: 50 }
      ]
    }
  }
}
