import { toTimes } from '../../src/check/times.ts'
import { checkKey } from '../../src/check/values.ts'
import type { KeyMode } from '../../src/job.ts'
import { Queue } from '../../src/queue.ts'
import type { JobOptions, RescheduleOptions } from '../../src/schedule.ts'
import type { Input } from '../command.ts'
import { choice, duration, type Option, option, wholeNumber } from './options.ts'
import { UsageError } from './usage-error.ts'

const KEY_MODES: readonly KeyMode[] = ['replace', 'preserveRunAt', 'unsafeDedupe']

/** The options of a job that can be changed later. */
export const changeOptions = declareChanges()

/** The options of a new job. */
export const jobOptions = {
  queue: checked('--queue <name>', 'Run it in this queue, one job at a time (default: none, in parallel)', name =>
    Queue.for(name)
  ),
  ...declareChanges({ priority: ' (default: 0)', maxAttempts: ' (default: 25)' }),
  key: checked('--key <key>', 'Identify the job by this key; only one job of a key exists at a time', key => {
    checkKey(key, '')
    return key
  }),
  keyMode: choice(
    '--key-mode <mode>',
    `How to treat an existing job of the key: ${KEY_MODES.join(', ')} (default: replace)`,
    KEY_MODES
  )
}

/**
 * The changes of a job that a command line gives.
 *
 * @throws {UsageError} if it gives two times
 */
export function readChanges({ options, spelling }: Input<typeof changeOptions>): RescheduleOptions {
  const { delay, runAt, priority, maxAttempts } = options
  if (runAt !== undefined && delay !== undefined) {
    throw new UsageError(`Cannot read ${spelling('delay')}: --run-at is given as well, and a job has one time`)
  }
  return { runAt, delay, priority, maxAttempts }
}

/**
 * The options of a new job that a command line gives.
 *
 * @throws {UsageError} if it gives two times, or `--key-mode` without `--key`
 */
export function readJobOptions(input: Input<typeof jobOptions>): JobOptions {
  const { queue, key, keyMode } = input.options
  if (keyMode && key === undefined) throw new UsageError('Cannot read --key-mode: there is no --key')
  return { ...readChanges(input), queue, key, keyMode }
}

function declareChanges(defaults = { priority: '', maxAttempts: '' }) {
  return {
    delay: duration('--in, --delay <duration>', 'Run it this much later, such as 90s, 5m or 1h30m; 0s means now'),
    runAt: checked('--run-at <time>', 'Run it at this time, such as 2030-01-31T08:00:00Z', runAt => {
      return toTimes({ runAt }, '').runAt ?? undefined
    }),
    priority: wholeNumber(
      '--priority <number>',
      `Lower runs first, and may be negative${defaults.priority}`,
      [-32_768, 32_767]
    ),
    maxAttempts: wholeNumber(
      '--max-attempts <number>',
      `How many times it is tried at most${defaults.maxAttempts}`,
      [1, 32_767]
    )
  }
}

/** An option that the library checks. Its errors are reworded to name the option. */
export function checked<Value>(
  flags: string,
  description: string,
  check: (value: string) => Value
): Option<Value | undefined> {
  return option(flags, description, reading(check))
}

/** Reads a value with a check of the library, and explains what it refuses. */
export function reading<Value>(check: (value: string) => Value): (value: string, spelling: string) => Value {
  return (value, spelling) => {
    try {
      return check(value)
    } catch (error) {
      const reason = (error as Error).message.replace(
        /^.*?: (?:(?:runAt|key|cron|timeZone|start|end) (?=is|has|holds))?/,
        ''
      )
      throw new UsageError(`Cannot read ${spelling}: ${/^(?:is|has|holds) /.test(reason) ? 'it ' : ''}${reason}`)
    }
  }
}
