import { type ChildProcess, fork } from 'node:child_process'
import { fileURLToPath } from 'node:url'

/** A process that measures something. */
export interface Subject<Result> extends AsyncDisposable {
  /** Resolves when its worker is ready. */
  readonly ready: Promise<void>
  /** Resolves with what it found out. */
  readonly result: Promise<Result>
}

const running = new Set<ChildProcess>()

/** Starts a script of `subjects/` in a process of its own; it is killed when it goes out of scope. */
export function startSubject<Settings extends object, Result>(name: string, settings: Settings): Subject<Result> {
  const script = fileURLToPath(new URL(`subjects/${name}.ts`, import.meta.url))
  const child = fork(script, [JSON.stringify(settings)], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  running.add(child)
  const ready = Promise.withResolvers<void>()
  const result = Promise.withResolvers<Result>()
  const ended = new Promise<void>(resolve => child.once('exit', () => resolve()))
  child.on('message', (message: { ready?: boolean; result?: Result }) => {
    if (message.ready) ready.resolve()
    if (message.result !== undefined) result.resolve(message.result)
  })
  child.once('exit', (code, signal) => {
    running.delete(child)
    const error = new Error(`Cannot measure ${name}: its process ended with ${signal ?? code}`)
    for (const { reject } of [ready, result]) reject(error)
  })
  for (const { promise } of [ready, result]) promise.catch(() => {})
  return {
    ready: ready.promise,
    result: result.promise,
    async [Symbol.asyncDispose]() {
      child.kill('SIGKILL')
      await ended
    }
  }
}

/** Starts a subject and waits for its result. */
export async function measureIn<Settings extends object, Result>(name: string, settings: Settings): Promise<Result> {
  await using subject = startSubject<Settings, Result>(name, settings)
  return await subject.result
}

/** Kills whatever still measures. */
export function killSubjects(): void {
  for (const child of running) child.kill('SIGKILL')
}
