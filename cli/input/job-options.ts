import { checkKey } from '../../src/check.ts'
import { toTimes } from '../../src/enqueue/request.ts'
import type { KeyMode } from '../../src/job.ts'
import { Queue } from '../../src/queue.ts'
import type { JobOptions, RescheduleOptions } from '../../src/schedule.ts'
import type { Arguments } from './options.ts'
import { UsageError } from './usage-error.ts'

/**
 * The options of a job that a command line gives.
 *
 * @throws {UsageError} if one of them is wrong, or two do not go together
 */
export function readJobOptions(args: Arguments): JobOptions {
  const changes = readChanges(args)
  const key = readKey(args)
  const keyMode = args.choice('key-mode', KEY_MODES)
  if (keyMode && key === undefined) throw new UsageError('Cannot read --key-mode: there is no --key')
  return {
    ...changes,
    queue: readQueue(args),
    key,
    keyMode
  }
}

/**
 * Those of them that can be changed later.
 *
 * @throws {UsageError} if one of them is wrong, or two do not go together
 */
export function readChanges(args: Arguments): RescheduleOptions {
  const runAt = readRunAt(args)
  const delay = args.duration('delay')
  if (runAt !== undefined && delay !== undefined) {
    throw new UsageError(`Cannot read ${args.spelling('delay')}: --run-at is given as well, and a job has one time`)
  }
  return {
    runAt,
    delay,
    priority: args.number('priority', { least: -32_768, most: 32_767, isWhole: true }),
    maxAttempts: args.number('max-attempts', { least: 1, most: 32_767, isWhole: true })
  }
}

/** What `--key-mode` may say. */
export const KEY_MODES: readonly KeyMode[] = ['replace', 'preserveRunAt', 'unsafeDedupe']

function readRunAt(args: Arguments): string | undefined {
  const runAt = args.text('run-at')
  return reword('run-at', () => toTimes({ runAt }, '').runAt ?? undefined)
}

function readKey(args: Arguments): string | undefined {
  const key = args.text('key')
  if (key !== undefined) reword('key', () => checkKey(key, ''))
  return key
}

function readQueue(args: Arguments): Queue | undefined {
  const name = args.text('queue')
  return name === undefined ? undefined : reword('queue', () => Queue.for(name))
}

/** Has the library check a value, and lets its complaint speak of the option. */
function reword<Result>(name: string, read: () => Result): Result {
  try {
    return read()
  } catch (error) {
    const reason = (error as Error).message.replace(/^.*?: (?:(?:runAt|key) (?=is|has|holds))?/, '')
    throw new UsageError(`Cannot read --${name}: ${/^(?:is|has|holds) /.test(reason) ? 'it ' : ''}${reason}`)
  }
}
