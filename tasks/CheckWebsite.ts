import type { Task } from 'kretes'

interface Website {
  url: string
  /** How long to wait for an answer. */
  timeoutMs?: number
}

/**
 * Asks a website for a page and fails unless it answers well. Networks and servers fail now and then, so this job does
 * too: the worker runs it again, later and later, until it works or has no attempts left.
 */
const CheckWebsite: Task<Website> = async ({ url, timeoutMs = 10_000 }, { attempt, logger, signal }) => {
  if (!URL.canParse(url)) throw new TypeError(`Cannot check the website: ${JSON.stringify(url)} is no URL`)
  const { origin, pathname } = new URL(url)
  const page = origin + pathname
  const startedAt = performance.now()
  const timeout = AbortSignal.timeout(timeoutMs)
  const response = await fetch(url, { signal: AbortSignal.any([signal, timeout]) }).catch(cause => {
    // The worker is stopping: nothing is wrong with the website.
    signal.throwIfAborted()
    const reason = timeout.aborted ? `no answer within ${timeoutMs} ms` : reasonOf(cause)
    throw new Error(`Cannot reach ${page}: ${reason}`, { cause })
  })
  await response.body?.cancel()
  const durationMs = Math.round(performance.now() - startedAt)
  const { status } = response
  if (!response.ok) throw new Error(`Cannot load ${page}: it answers ${status} after ${durationMs} ms`)
  logger.info(`${page} answers ${status} after ${durationMs} ms, at attempt ${attempt}`)
  return { status, durationMs }
}
export default CheckWebsite

/** `fetch failed` says little; the error behind it says more. */
function reasonOf(error: Error): string {
  const cause = error.cause instanceof AggregateError ? error.cause.errors[0] : error.cause
  return cause instanceof Error && cause.message ? cause.message : error.message
}
