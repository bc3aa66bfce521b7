import { createBackground } from './background.ts'
import { refuseUnknown } from './check/options.ts'
import { BACKGROUND_OPTIONS, type BackgroundClient, type BackgroundOptions } from './client.ts'
import { BackgroundError } from './errors.ts'
import type { Cancel } from './manage/cancel.ts'
import type { ScheduleMany } from './schedule.ts'

/** The type of {@linkcode Background}: a client with default options, unless you configure it. */
export interface DefaultBackground extends BackgroundClient {
  /**
   * Sets the options. Call this before the first use, or after `close`.
   *
   * @throws {BackgroundError} `CONFIGURATION` if the client is in use
   * @example
   * ```ts
   * import { Background } from 'kretes'
   *
   * Background.configure({ connection: process.env.JOBS_DATABASE_URL, maxConnections: 8 })
   * ```
   */
  configure(options: BackgroundOptions): void
}

/**
 * Schedules and manages jobs in the application's database. After `close`, the next call connects again.
 *
 * @example
 * ```ts
 * import { Background } from 'kretes'
 *
 * await Background.schedule({ task: 'SendEmail', payload: { to: 'admin@example.com' } })
 * ```
 */
export const Background: DefaultBackground = createDefault()

function createDefault(): DefaultBackground {
  let options: BackgroundOptions = {}
  let client: BackgroundClient | undefined
  const current = (): BackgroundClient => (client ??= createBackground(options))
  const close = async (): Promise<void> => {
    const closed = client
    client = undefined
    await closed?.close()
  }
  return {
    configure(given) {
      refuseUnknown(given, BACKGROUND_OPTIONS, 'configure Background')
      if (client)
        throw new BackgroundError('CONFIGURATION', 'Cannot configure Background: it is in use. Close it first')
      options = given
    },
    schedule: scheduleOptions => current().schedule(scheduleOptions),
    scheduleMany: ((...given: Parameters<ScheduleMany>) => current().scheduleMany(...given)) as ScheduleMany,
    unschedule: job => current().unschedule(job),
    reschedule: (job, changes) => current().reschedule(job, changes),
    cancel: ((...given: Parameters<Cancel>) => current().cancel(...given)) as Cancel,
    get recurring() {
      return current().recurring
    },
    jobs: options => current().jobs(options),
    pause: options => current().pause(options),
    resume: target => current().resume(target),
    pauses: () => current().pauses(),
    get limits() {
      return current().limits
    },
    runs: options => current().runs(options),
    job: reference => current().job(reference),
    retry: (selection, options) => current().retry(selection, options),
    delete: (selection, options) => current().delete(selection, options),
    runNow: (selection, options) => current().runNow(selection, options),
    result: (job, options) => current().result(job, options),
    status: statusOptions => current().status(statusOptions),
    why: job => current().why(job),
    doctor: () => current().doctor(),
    prune: pruneOptions => current().prune(pruneOptions),
    with: transaction => current().with(transaction),
    migrate: () => current().migrate(),
    close,
    [Symbol.asyncDispose]: close
  }
}
