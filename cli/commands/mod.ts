/**
 * The commands below `kretes background`, in the order of its help. A new command is a file here and a line in this
 * list.
 *
 * @module
 */

import type { Command, Group } from '../command.ts'
import { cancel } from './bulk/cancel.ts'
import { deleteJobs } from './bulk/delete.ts'
import { retry } from './bulk/retry.ts'
import { runNow } from './bulk/run-now.ts'
import { cron } from './cron/mod.ts'
import { db } from './db.ts'
import { doctor } from './doctor.ts'
import { limits } from './flow/limits.ts'
import { pause } from './flow/pause.ts'
import { pauses } from './flow/pauses.ts'
import { resume } from './flow/resume.ts'
import { jobs } from './jobs.ts'
import { logs } from './logs.ts'
import { migrate } from './migrate.ts'
import { prune } from './prune.ts'
import { reschedule } from './reschedule.ts'
import { runs } from './runs.ts'
import { schedule } from './schedule.ts'
import { show } from './show.ts'
import { status } from './status.ts'
import { tasks } from './tasks.ts'
import { why } from './why.ts'
import { work } from './work.ts'

export const commands: readonly (Command | Group)[] = [
  work,
  schedule,
  reschedule,
  jobs,
  runs,
  show,
  logs,
  retry,
  cancel,
  deleteJobs,
  runNow,
  cron,
  pause,
  resume,
  pauses,
  limits,
  status,
  why,
  doctor,
  prune,
  tasks,
  migrate,
  db
]
