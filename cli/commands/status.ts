import { setTimeout } from 'node:timers/promises'
import { createBackground } from '../../src/background.ts'
import type { Status, StatusOptions } from '../../src/ledger/status.ts'
import type { CommandContext, Output, Terminal } from '../context.ts'
import { readDatabase, waitFor, withBackground } from '../databases.ts'
import type { Arguments } from '../options.ts'
import { createNoticeLogger } from '../progress.ts'
import { interruptible } from '../signals.ts'
import { statusScreen } from '../status-screen.ts'
import { UsageError } from '../usage.ts'

/** `kretes background status`: tasks, queues and workers on one screen, once or until Ctrl-C. */
export async function status(args: Arguments, context: CommandContext): Promise<number> {
  const { output } = context
  const window = args.text('window')
  const options: StatusOptions = window === undefined ? {} : { window: /^\d+$/.test(window) ? `${window}ms` : window }
  if (args.flag('watch')) return await watch(args, context, options)
  const found = await withBackground(args, context, background => background.status(options).catch(explain))
  print(found, args.flag('json'), output)
  return 0
}

/** Shows it again and again. Where there is a terminal, on a screen that goes away in the end, as it came. */
async function watch(args: Arguments, context: CommandContext, options: StatusOptions): Promise<number> {
  const { output, stop } = context
  const isJson = args.flag('json')
  const database = readDatabase(args, context.env)
  const logger = createNoticeLogger(args, output)
  const background = createBackground({ connection: database.connection, maxConnections: 1, logger })
  const screen = isJson || !output.terminal ? undefined : openScreen(output.terminal, output)
  try {
    let last: Status | undefined
    while (!stop.aborted) {
      const looking = background.status(options).catch(explain)
      try {
        last = await (last ? interruptible(looking, context, false) : waitFor(looking, database, context, logger))
        if (screen) screen.draw(last)
        else print(last, isJson, output)
      } catch (error) {
        if (stop.aborted) break
        // One that was never there is no database that has gone away for a moment.
        if (!last) throw error
        const message = error instanceof Error ? error.message : String(error)
        if (screen) screen.draw(last, message)
        else output.notice(message)
      }
      await setTimeout(INTERVAL_MS, undefined, { signal: stop }).catch(() => {})
    }
    return 0
  } finally {
    screen?.close()
    await Promise.race([background.close(), setTimeout(CLOSE_MS, undefined, { ref: false })])
  }
}

function print(found: Status, isJson: boolean, output: Output): void {
  const { style, width, terminal } = output
  output.line(
    isJson
      ? JSON.stringify(found)
      : statusScreen(found, { style, width, height: terminal && terminal.rows - 1 }).join('\n')
  )
}

/** Draws on a terminal's second screen, each time over what was there. */
function openScreen(
  terminal: Terminal,
  { style }: Output
): { draw(found: Status, error?: string): void; close(): void } {
  let isOpen = false
  return {
    draw(found, error) {
      const { columns, rows } = terminal
      const note = error === undefined ? `at ${found.at.toISOString()} · Ctrl-C to leave` : error
      const lines = statusScreen(found, { style, width: columns, height: rows - 2 })
      const last = style(error === undefined ? 'dim' : 'red', note.slice(0, columns))
      const text = [...lines, '', last].map(line => `${line}${REST_OF_LINE}`).join('\r\n')
      terminal.write(`${isOpen ? '' : ENTER}${HOME}${text}${BELOW}`)
      isOpen = true
    },
    close() {
      if (isOpen) terminal.write(LEAVE)
    }
  }
}

function explain(error: unknown): never {
  if (error instanceof TypeError || error instanceof RangeError) throw new UsageError(error.message, { cause: error })
  throw error
}

const INTERVAL_MS = 2_000
const CLOSE_MS = 1_000

/** The second screen, and no cursor. */
const ENTER = '\u001b[?1049h\u001b[?25l'
const LEAVE = '\u001b[?25h\u001b[?1049l'
const HOME = '\u001b[H'
const REST_OF_LINE = '\u001b[K'
const BELOW = '\u001b[J'
