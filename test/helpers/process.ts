import { spawn } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { onceDone } from './cleanup.ts'

/** What {@linkcode start} takes. */
export interface StartOptions {
  cwd?: string | URL
  /** On top of this process's environment; `undefined` takes a variable away. */
  env?: Record<string, string | undefined>
  /** Written to its standard input, which is then closed; without, there is none. */
  input?: string
}

/** How a process ended. */
export interface Exit {
  code: number | null
  signal: NodeJS.Signals | null
  stdout: string
  stderr: string
}

/** A process that a test started. */
export interface Child {
  readonly pid: number
  /** What it has written so far, both streams as they came. */
  readonly text: string
  readonly stdout: string
  readonly stderr: string
  /** Settles when it has ended. */
  readonly exit: Promise<Exit>
  /** Waits until what it has written matches; fails, with what it has written, when it ends or the time is over. */
  output(pattern: RegExp, timeoutMs?: number): Promise<RegExpMatchArray>
  /** Signals the process alone. */
  kill(signal?: NodeJS.Signals): void
  /** Signals its whole process group, as Ctrl-C in a terminal does. */
  killGroup(signal?: NodeJS.Signals): void
}

const killers = new Set<(signal: NodeJS.Signals) => void>()
process.once('exit', () => {
  for (const kill of killers) kill('SIGKILL')
})

/** Starts a process in a group of its own. The whole group is killed when the tests are over. */
export function start(command: string, args: readonly string[] = [], options: StartOptions = {}): Child {
  const { cwd, env, input } = options
  const child = spawn(command, args, {
    ...(cwd ? { cwd } : {}),
    env: { ...process.env, ...env },
    stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'],
    detached: true
  })
  child.stdin?.on('error', () => {}).end(input)

  const written = { text: '', stdout: '', stderr: '' }
  const listeners = new Set<() => void>()
  for (const name of ['stdout', 'stderr'] as const) {
    child[name]?.setEncoding('utf8').on('data', (chunk: string) => {
      written[name] += chunk
      written.text += chunk
      for (const listener of listeners) listener()
    })
  }

  let isEnded = false
  const exit = new Promise<Exit>((resolve, reject) => {
    child.once('error', reject)
    const closed = new Promise(resolveClosed => child.once('close', resolveClosed))
    child.once('exit', async (code, signal) => {
      // A grandchild may hold the streams open for as long as it likes.
      await Promise.race([closed, sleep(1_000, undefined, { ref: false })])
      isEnded = true
      resolve({ code, signal, stdout: written.stdout, stderr: written.stderr })
      for (const listener of listeners) listener()
    })
  })
  exit.catch(() => {})

  const output = (pattern: RegExp, timeoutMs = HUNG_MS): Promise<RegExpMatchArray> =>
    new Promise((resolve, reject) => {
      const settle = (act: () => void): void => {
        listeners.delete(look)
        clearTimeout(timer)
        act()
      }
      const give = (why: string): void =>
        settle(() => reject(new Error(`Cannot see ${pattern} from ${command}: ${why}; it wrote:\n${written.text}`)))
      const look = (): void => {
        const match = written.text.match(pattern)
        if (match) settle(() => resolve(match))
        else if (isEnded) give(`it ended with ${child.exitCode ?? child.signalCode}`)
      }
      const timer = setTimeout(() => give(`not within ${timeoutMs} ms`), timeoutMs)
      listeners.add(look)
      exit.catch(error => give(String(error)))
      look()
    })

  const killGroup = (signal: NodeJS.Signals = 'SIGTERM'): void => {
    try {
      if (child.pid) process.kill(-child.pid, signal)
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error
    }
  }
  killers.add(killGroup)
  onceDone(async () => {
    killGroup('SIGKILL')
    killers.delete(killGroup)
    await exit.catch(() => {})
  })

  return {
    pid: child.pid ?? 0,
    get text() {
      return written.text
    },
    get stdout() {
      return written.stdout
    },
    get stderr() {
      return written.stderr
    },
    exit,
    output,
    kill: signal => void child.kill(signal),
    killGroup
  }
}

/** For how long a process that starts may say nothing on a machine that does much else. */
const HUNG_MS = 180_000

/** Starts a process and waits for its end. */
export function run(command: string, args: readonly string[] = [], options: StartOptions = {}): Promise<Exit> {
  return start(command, args, options).exit
}
