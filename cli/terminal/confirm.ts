import { once } from 'node:events'
import process from 'node:process'
import type { CommandContext } from '../context.ts'

/** Whether there is a terminal on which a question can be asked and answered. */
export function canAsk(): boolean {
  return process.stdin.isTTY && process.stderr.isTTY
}

/** Asks a question on the terminal; only `y` and `yes` mean yes. */
export async function confirm(question: string, { output, stop }: CommandContext): Promise<boolean> {
  await output.flush()
  const { createInterface } = await import('node:readline/promises')
  const terminal = createInterface({ input: process.stdin, output: process.stderr })
  try {
    // The terminal gives Ctrl-C to this reader, not to the process.
    terminal.on('SIGINT', () => process.kill(process.pid, 'SIGINT'))
    // Ctrl-D ends the input. The runtime decides which of the two promises settles then.
    const asked = terminal.question(`${question} [y/N] `, { signal: stop }).catch(() => undefined)
    const answer = await Promise.race([asked, once(terminal, 'close').then(() => undefined)])
    stop.throwIfAborted()
    if (answer === undefined) output.notice('')
    return /^y(?:es)?$/i.test(answer?.trim() ?? '')
  } finally {
    terminal.close()
  }
}
