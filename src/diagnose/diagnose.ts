import { type Names, refuseUnknown } from '../check/options.ts'
import { type Database, templateOf } from '../database/open.ts'
import { toMilliseconds } from '../duration.ts'
import { type JobReference, toTarget } from '../reference.ts'
import type { Access } from '../sql/statement.ts'
import { type Diagnosis, diagnose } from './doctor.ts'
import { readStatus, type Status, type StatusOptions } from './status.ts'
import { explainJob, type Why } from './why.ts'

/** The names of the {@linkcode StatusOptions}, for checks. */
export const STATUS_OPTIONS: Names<StatusOptions> = { window: true, maxQueues: true }

/** A database, and how to reach the engine there. */
interface Opened {
  readonly database: Database
  readonly access: Access
}

/** What this room adds to a Background. */
export interface DiagnosisCalls {
  status(options?: StatusOptions): Promise<Status>
  why(job: JobReference): Promise<Why>
  doctor(): Promise<Diagnosis>
}

/** Creates the calls that diagnose one database. */
export function createDiagnosis(
  use: <Result>(doing: string, work: (opened: Opened) => Promise<Result>) => Promise<Result>,
  schema: string
): DiagnosisCalls {
  return {
    async status(options = {}) {
      const doing = 'tell the status'
      refuseUnknown(options, STATUS_OPTIONS, doing)
      const { window = '1h', maxQueues = 100 } = options
      const windowMs = toMilliseconds(window, doing, 'the window')
      if (windowMs < MINUTE_MS) {
        throw new RangeError(`Cannot ${doing}: the window is ${windowMs} ms, shorter than a minute`)
      }
      if (!Number.isInteger(maxQueues) || maxQueues < 0) {
        throw new RangeError(`Cannot ${doing}: maxQueues is ${maxQueues}, not a whole number from 0`)
      }
      return await use(doing, ({ access }) => readStatus(access, windowMs, maxQueues))
    },
    async why(job) {
      const target = toTarget(job, 'explain')
      return await use('explain a job', ({ access }) => explainJob(access, target))
    },
    doctor: () =>
      use('examine the database', ({ database }) =>
        diagnose({ client: templateOf(database), schema, label: database.label })
      )
  }
}

const MINUTE_MS = 60_000
