import { spawn } from '@lydell/node-pty'
import xterm from '@xterm/headless'
import { onceDone } from './cleanup.ts'
import { until } from './until.ts'

/** What {@linkcode openTerminal} takes. */
export interface TerminalOptions {
  cwd?: string
  /** On top of this process's environment; `undefined` takes a variable away. */
  env?: Record<string, string | undefined>
  /** @default 80 */
  columns?: number
  /** @default 24 */
  rows?: number
}

/** A terminal with a program in it, as a person sits before it. */
export interface TestTerminal {
  /** All that the program has written, as it came. */
  readonly text: string
  /** What is to be seen now: a line for each row down to the last that is not empty. */
  readonly lines: readonly string[]
  /** Whether it shows its second screen, from which it comes back to the first as that was. */
  readonly isSecondScreen: boolean
  readonly isCursorShown: boolean
  /** Whether something that is to be seen was too long for its row and goes on in the next. */
  readonly isWrapped: boolean
  /** Settles when the program has ended, with all that it has written to be seen. */
  readonly exit: Promise<{ code: number; signal: number | undefined }>
  /** Waits until what is to be seen, its rows as lines, matches; fails if the program ends without. */
  see(pattern: RegExp, timeoutMs?: number): Promise<RegExpMatchArray>
  /** Types on its keyboard. */
  type(keys: string): void
  resize(columns: number, rows: number): void
}

/** Keys that are no letters. */
export const KEYS = { enter: '\r', ctrlC: '\u0003', ctrlD: '\u0004' } as const

const killers = new Set<() => void>()
process.once('exit', () => {
  for (const kill of killers) kill()
})

/** Starts a program in a terminal of its own. Whatever still runs there is killed when the tests are over. */
export function openTerminal(command: string, args: readonly string[], options: TerminalOptions = {}): TestTerminal {
  const { columns = 80, rows = 24, cwd } = options
  const env = Object.entries({ ...process.env, ...options.env }).filter(([, value]) => value !== undefined)
  const size = { cols: columns, rows }
  const child = spawn(command, [...args], { ...size, name: 'xterm-256color', cwd, env: Object.fromEntries(env) })
  const screen = new xterm.Terminal({ ...size, allowProposedApi: true })

  let text = ''
  let isEnded = false
  let isCursorShown = true
  for (const [final, isShown] of [
    ['h', true],
    ['l', false]
  ] as const) {
    screen.parser.registerCsiHandler({ prefix: '?', final }, modes => {
      if (modes.includes(CURSOR)) isCursorShown = isShown
      return false
    })
  }
  child.onData(data => {
    text += data
    screen.write(data)
  })
  const exit = new Promise<{ code: number; signal: number | undefined }>(resolve => {
    child.onExit(({ exitCode, signal }) => {
      // What came before has been drawn by then.
      screen.write('', () => {
        isEnded = true
        resolve({ code: exitCode, signal })
      })
    })
  })

  const rowsShown = (): { text: string; isWrapped: boolean }[] => {
    const { active } = screen.buffer
    return Array.from({ length: screen.rows }, (_, row) => active.getLine(active.viewportY + row)).map(line => ({
      text: line?.translateToString(false, 0, screen.cols).trimEnd() ?? '',
      isWrapped: line?.isWrapped ?? false
    }))
  }
  const kill = (): void => {
    try {
      process.kill(-child.pid, 'SIGKILL')
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
    }
  }
  killers.add(kill)
  onceDone(async () => {
    kill()
    killers.delete(kill)
    await exit
    screen.dispose()
  })

  const terminal: TestTerminal = {
    get text() {
      return text
    },
    get lines() {
      const lines = rowsShown().map(row => row.text)
      return lines.slice(0, lines.findLastIndex(line => line !== '') + 1)
    },
    get isSecondScreen() {
      return screen.buffer.active.type === 'alternate'
    },
    get isCursorShown() {
      return isCursorShown
    },
    get isWrapped() {
      return rowsShown().some(row => row.isWrapped)
    },
    exit,
    async see(pattern, timeoutMs = 180_000) {
      const look = (): RegExpMatchArray | null => terminal.lines.join('\n').match(pattern)
      const found = await until(() => look() ?? isEnded, { timeoutMs }).catch(() => undefined)
      const match = typeof found === 'object' ? found : look()
      if (match) return match
      const why = isEnded ? 'the program has ended' : `not within ${timeoutMs} ms`
      throw new Error(`Cannot see ${pattern}: ${why}; the terminal shows:\n${terminal.lines.join('\n')}`)
    },
    type: keys => child.write(keys),
    resize(newColumns, newRows) {
      screen.resize(newColumns, newRows)
      child.resize(newColumns, newRows)
    }
  }
  return terminal
}

/** The number of the mode in which a terminal shows its cursor. */
const CURSOR = 25
