import { type Names, refuseUnknown } from '../check/options.ts'
import { checkWholeNumber } from '../check/values.ts'
import { nextOccurrence } from '../cron/occurrences.ts'
import { previewOccurrences } from '../cron/preview.ts'
import type { Registry } from '../enqueue/registry.ts'
import type { JobSettings } from '../enqueue/request.ts'
import { BackgroundError } from '../errors.ts'
import type { Job, ScheduledJob } from '../job.ts'
import { readEntriesCursor, writeEntriesCursor } from '../manage/cursor.ts'
import { type PageOptions, toLimit, toSearch, toTask } from '../manage/filter.ts'
import {
  findCode,
  findEntries,
  findEntry,
  findNames,
  pauseEntry,
  readNow,
  removeEntry,
  resumeEntry,
  setEntry
} from '../sql/recurring/entries.ts'
import { runEntry } from '../sql/recurring/fire.ts'
import type { EntryDefinition, EntryRow } from '../sql/recurring/row.ts'
import type { Access } from '../sql/statement.ts'
import type { AnyTask } from '../task.ts'
import { didYouMean, nearMatches } from '../text/suggest.ts'
import { type RecurringJob, toRecurringJob } from './entry.ts'
import { checkName, type RecurringOptions, readDefinition, registeredFor } from './options.ts'
import type { RecurringFilter, RecurringJobs } from './recurring.ts'

/** How the calls reach the database. */
export interface RecurringAccess {
  readonly settings: JobSettings
  readonly registry: Registry
  toScheduled(job: Job): ScheduledJob<never>
  /** Runs work in the database. It creates the schema if that is missing. */
  use<Result>(doing: string, work: (access: Access) => Promise<Result>): Promise<Result>
  /** Runs work in a database that has the schema. */
  useExisting<Result>(doing: string, work: (access: Access) => Promise<Result>): Promise<Result>
}

/** Creates the calls for recurring jobs. */
export function createRecurringJobs(recurringAccess: RecurringAccess): RecurringJobs {
  const { settings, registry, toScheduled, use, useExisting } = recurringAccess

  /** Changes one that exists. */
  async function change(
    verb: string,
    name: string,
    work: (access: Access) => Promise<EntryRow | undefined>
  ): Promise<RecurringJob> {
    checkName(name)
    return await useExisting(`${verb} a recurring job`, async access =>
      toRecurringJob((await work(access)) ?? (await refuse(access, verb, name)))
    )
  }

  return {
    async set(name, options) {
      const define = readDefinition(name, options as RecurringOptions, settings)
      return await use('set a recurring job', async access => {
        const definition = await define(await registeredFor(options.task as AnyTask, registry, access))
        return toRecurringJob(await setEntry(access, await plan(access, definition)))
      })
    },
    async list(options = {}) {
      const doing = 'list recurring jobs'
      refuseUnknown(options, FILTER, doing, 'condition')
      const limit = toLimit(options, doing)
      const conditions = {
        task: toTask(options.task, doing),
        search: toSearch(options.search, doing),
        after: readEntriesCursor(options.cursor)
      }
      return await useExisting(doing, async access => {
        // One more tells whether there is another page.
        const { nowMs, entries: found } = await findEntries(access, { ...conditions, limit: limit + 1 })
        const entries = found.slice(0, limit).map(toRecurringJob)
        const last = found.length > limit ? entries.at(-1) : undefined
        return { at: new Date(nowMs), entries, ...(last && { cursor: writeEntriesCursor(last.name) }) }
      })
    },
    async get(name) {
      checkName(name)
      return await useExisting('look at a recurring job', async access => {
        const row = await findEntry(access, name)
        return row && toRecurringJob(row)
      })
    },
    pause: name => change('pause', name, access => pauseEntry(access, name)),
    resume: name => change('resume', name, access => resume(access, name)),
    async runNow(name) {
      checkName(name)
      return await useExisting('run a recurring job', async access =>
        toScheduled((await runEntry(access, name)) ?? (await refuse(access, 'run', name)))
      )
    },
    async preview(name, count = 10) {
      checkName(name)
      checkWholeNumber(count, [1, 1_000], 'preview a recurring job', 'count')
      return await useExisting('preview a recurring job', async access => {
        const row = (await findEntry(access, name)) ?? (await refuse(access, 'preview', name))
        const nextMs = row.pausedMs === null ? row.nextMs : nextOccurrence(row, row.nowMs, row.nextMs)
        return nextMs === null ? [] : previewOccurrences(row, row.nowMs, nextMs, count)
      })
    },
    remove: name => change('remove', name, access => removeEntry(access, name)),
    async reset(name) {
      checkName(name)
      return await useExisting('reset a recurring job', async access => {
        const definition = await findCode(access, name)
        if (!definition) throw noRecurringJob('reset', name, 'no code declares it')
        return toRecurringJob(await setEntry(access, await plan(access, definition), true))
      })
    }
  }
}

/** Adds the next occurrence to a definition. */
async function plan(access: Access, definition: EntryDefinition) {
  const nextMs = nextOccurrence(definition, await readNow(access))
  if (nextMs !== null) return { ...definition, nextMs }
  const { name, endMs } = definition
  throw new RangeError(
    `Cannot set the recurring job ${JSON.stringify(name)}: no occurrence comes before its end, ${new Date(endMs ?? 0).toISOString()}`
  )
}

async function resume(access: Access, name: string): Promise<EntryRow | undefined> {
  for (;;) {
    const row = await findEntry(access, name)
    if (!row || row.pausedMs === null) return row
    // Another call may have changed it since.
    const resumed = await resumeEntry(access, row, nextOccurrence(row, row.nowMs, row.nextMs))
    if (resumed) return resumed
  }
}

async function refuse(access: Access, verb: string, name: string): Promise<never> {
  const near = didYouMean(nearMatches(name, [...(await findNames(access))]))
  throw noRecurringJob(verb, name, `there is none${near}`)
}

function noRecurringJob(verb: string, name: string, state: string): BackgroundError {
  return new BackgroundError('NO_RECURRING_JOB', `Cannot ${verb} the recurring job ${JSON.stringify(name)}: ${state}`)
}

const FILTER: Names<RecurringFilter & PageOptions> = { task: true, search: true, limit: true, cursor: true }
