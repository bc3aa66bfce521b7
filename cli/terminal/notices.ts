import type { Logger } from '../../src/logger.ts'
import type { Output } from '../context.ts'
import type { Arguments } from '../input/options.ts'
import { LOG_LEVELS } from '../output/logger.ts'

/** A logger that tells on standard error what takes a while, so that standard output holds the result alone. */
export function createNoticeLogger(args: Arguments, { notice, noticeStyle }: Output): Logger {
  const level = args.choice('log-level', LOG_LEVELS) ?? 'info'
  const say = (message: string): void => notice(noticeStyle('dim', message))
  const unless = (isQuiet: boolean): ((message: string) => void) => (isQuiet ? () => {} : say)
  const isSilent = level === 'silent'
  return {
    debug: unless(level !== 'debug'),
    info: unless(level !== 'debug' && level !== 'info'),
    warn: unless(isSilent || level === 'error'),
    error: unless(isSilent)
  }
}

/** Says something if work has not ended after a second. */
export async function sayIfSlow<Result>(work: Promise<Result>, say: () => void): Promise<Result> {
  const timer = setTimeout(say, SLOW_MS)
  try {
    return await work
  } finally {
    clearTimeout(timer)
  }
}

const SLOW_MS = 1_000
