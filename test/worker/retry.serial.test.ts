import { createBackground } from '../../mod.ts'
import { onceDone } from '../helpers/cleanup.ts'
import { createDatabase } from '../helpers/database.ts'
import { suite } from '../helpers/suite.ts'
import { until } from '../helpers/until.ts'
import { bestOf, work } from './work.ts'

const test = suite('retries')
const database = await createDatabase()
const background = createBackground({ connection: database.url })
onceDone(() => background.close())

test('of a hundred jobs with a fixed backoff start on time: p99 below 50 ms', () =>
  bestOf(3, async () => {
    const sorted = (await retryAll()).toSorted((a, b) => a - b)
    const isOnTime = (sorted[98] ?? 0) < 50
    return { isOnTime, figures: `p50 ${sorted[49]}, p99 ${sorted[98]}, most ${sorted[99]} ms` }
  }))

/** Runs a hundred jobs that fail once, and returns by how many milliseconds each second attempt was late. */
async function retryAll(): Promise<number[]> {
  const due = new Map<string, number>()
  const lateness: number[] = []
  await using _worker = await work(database, {
    backoff: (_attempt, error) => Number((error as Error).message),
    tasks: {
      Flaky: (_input, { job, attempt }) => {
        if (attempt > 1) {
          lateness.push(Date.now() - (due.get(job.id) ?? 0))
          return
        }
        const delay = 500 + Math.round(Math.random() * 3_000)
        due.set(job.id, Date.now() + delay)
        throw new Error(String(delay))
      }
    }
  })
  await background.scheduleMany({ task: 'Flaky', payloads: Array.from({ length: 100 }, (_, n) => ({ n })) })
  await until(() => lateness.length === 100)
  return lateness
}
