import type { Logger } from '../../src/logger.ts'
import type { LogLevel, Output } from '../context.ts'

/** A logger that writes to standard error, so that standard output holds the result alone. */
export function createNotices(level: LogLevel, { notice, noticeStyle }: Output): Logger {
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
