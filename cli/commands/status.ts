import { setTimeout } from 'node:timers/promises'
import { stripVTControlCharacters } from 'node:util'
import type { Status } from '../../src/diagnose/status.ts'
import { defineCommand, type Input } from '../command.ts'
import type { CommandContext, Output, Style, Terminal } from '../context.ts'
import { readDatabase, waitFor, withBackground } from '../database.ts'
import { databaseUrl, duration, flag } from '../input/options.ts'
import { explainMisuse } from '../input/usage-error.ts'
import { statusScreen } from '../output/status-screen.ts'
import { interruptible } from '../signals.ts'
import { oneLine, printable } from '../terminal/sanitize.ts'
import { cut, widthOf } from '../terminal/width.ts'

const options = {
  watch: flag('--watch', 'Show them again and again, until Ctrl-C'),
  window: duration('--window <duration>', 'The period over which runs are counted (default: 1h)'),
  json: flag('--json', 'Print them as JSON, with --watch a line each time'),
  databaseUrl
}

type Options = Input<typeof options>['options']

/** `kretes background status`: shows tasks, queues and workers, once or until Ctrl-C. */
export const status = defineCommand({
  usage: 'status',
  summary: 'Show tasks, queues and workers',
  options,
  examples: program => [`  $ ${program} status --watch --window 5m`],

  async run({ options }, context) {
    const { window, watch: isWatching, json } = options
    if (isWatching) return await watch(options, context)
    const found = await withBackground(options, context, background =>
      background.status({ window }).catch(explainMisuse)
    )
    print(found, json, context.output)
    return 0
  }
})

/** Shows the status again and again; on a terminal, on a screen that disappears at the end. */
async function watch(options: Options, context: CommandContext): Promise<number> {
  const { output, stop, notices } = context
  const { window, json } = options
  const database = readDatabase(options, context.env)
  const { createBackground } = await import('../../mod.ts')
  const background = createBackground({ connection: database.connection, maxConnections: 1, logger: notices })
  const screen = json || !output.terminal ? undefined : openScreen(output.terminal, output)
  try {
    let last: Status | undefined
    while (!stop.aborted) {
      const looking = background.status({ window }).catch(explainMisuse)
      try {
        last = await (last ? interruptible(looking, context, false) : waitFor(looking, database, context, notices))
        if (screen) screen.draw(last)
        else print(last, json, output)
      } catch (error) {
        if (stop.aborted) break
        // A database that has never answered is probably the wrong one.
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
  if (isJson) {
    output.json(found)
    return
  }
  const { style, columns = Number.POSITIVE_INFINITY, terminal } = output
  output.line(statusScreen(found, { style, width: columns, height: terminal && terminal.rows - 1 }).join('\n'))
}

/** Draws on a terminal's alternate screen: over the frame before, and again when the size changes. */
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

/** A whole frame. */
function frame(found: Status, error: string | undefined, { columns, rows }: Terminal, style: Style): string {
  const note = error === undefined ? `at ${found.at.toISOString()} · Ctrl-C to leave` : oneLine(error)
  const last = style(error === undefined ? 'dim' : 'red', cut(note, columns))
  const lines = [...statusScreen(found, { style, width: columns, height: rows - 2 }), ''].map(printable)
  // After the last column of a line, most terminals keep the cursor on it: erasing the rest would erase that column.
  const isFull = (line: string): boolean => widthOf(stripVTControlCharacters(line)) >= columns
  return `${lines.map(line => `${line}${isFull(line) ? '' : REST_OF_LINE}\n`).join('')}${BELOW}${printable(last)}`
}

const INTERVAL_MS = 2_000
const CLOSE_MS = 1_000

/** The alternate screen, without a cursor. */
const ENTER = '\u001b[?1049h\u001b[?25l'
const LEAVE = '\u001b[?25h\u001b[?1049l'
const HOME = '\u001b[H'
const REST_OF_LINE = '\u001b[K'
const BELOW = '\u001b[J'
