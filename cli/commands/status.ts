import { setTimeout } from 'node:timers/promises'
import { stripVTControlCharacters } from 'node:util'
import { createBackground } from '../../src/background.ts'
import type { Status, StatusOptions } from '../../src/ledger/status.ts'
import type { CommandContext, Output, Style, Terminal } from '../context.ts'
import { readDatabase, waitFor, withBackground } from '../database.ts'
import type { Arguments } from '../input/options.ts'
import { UsageError } from '../input/usage-error.ts'
import { statusScreen } from '../output/status-screen.ts'
import { interruptible } from '../signals.ts'
import { createNoticeLogger } from '../terminal/notices.ts'
import { oneLine, printable } from '../terminal/sanitize.ts'
import { cut, widthOf } from '../terminal/width.ts'

/** `kretes background status`: tasks, queues and workers on one screen, once or until Ctrl-C. */
export async function status(args: Arguments, context: CommandContext): Promise<number> {
  const { output } = context
  const window = args.duration('window')
  const options: StatusOptions = window === undefined ? {} : { window }
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
  const { style, columns = Number.POSITIVE_INFINITY, terminal } = output
  output.line(
    isJson
      ? JSON.stringify(found)
      : statusScreen(found, { style, width: columns, height: terminal && terminal.rows - 1 }).join('\n')
  )
}

/** Draws on a terminal's second screen, each time over what was there, and anew when the terminal changes its size. */
function openScreen(
  terminal: Terminal,
  { style }: Output
): { draw(found: Status, error?: string): void; close(): void } {
  let redraw: (() => void) | undefined
  const forget = terminal.onResize(() => redraw?.())
  return {
    draw(found, error) {
      const enter = redraw ? '' : ENTER
      redraw = () => terminal.write(`${HOME}${frame(found, error, terminal, style)}`)
      terminal.write(enter)
      redraw()
    },
    close() {
      forget()
      if (redraw) terminal.write(LEAVE)
    }
  }
}

/** All that is on the screen, from its first line on. */
function frame(found: Status, error: string | undefined, { columns, rows }: Terminal, style: Style): string {
  const note = error === undefined ? `at ${found.at.toISOString()} · Ctrl-C to leave` : oneLine(error)
  const last = style(error === undefined ? 'dim' : 'red', cut(note, columns))
  const lines = [...statusScreen(found, { style, width: columns, height: rows - 2 }), ''].map(printable)
  // After a line's last column most terminals stay on it until the next character: to erase the rest would erase that.
  const isFull = (line: string): boolean => widthOf(stripVTControlCharacters(line)) >= columns
  return `${lines.map(line => `${line}${isFull(line) ? '' : REST_OF_LINE}\n`).join('')}${BELOW}${printable(last)}`
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
