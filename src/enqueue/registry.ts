import process from 'node:process'
import type { Logger } from '../logger.ts'
import type { Queue } from '../queue.ts'
import { schedulingTimings } from '../rules/timings.ts'
import { type Definition, findDefinitions } from '../sql/jobs/definitions.ts'
import type { Access } from '../sql/statement.ts'
import { definedNameOf, NAMING_REMEDY } from '../task.ts'
import type { Registered } from './request.ts'

/** The options of tasks that workers have registered. They are read now and then, not for each call. */
export interface Registry {
  /** Whether a call has to wait for {@linkcode Registry.learn}. */
  isUnread(task: unknown): boolean
  /** Reads what workers have registered, unless that was lately. Calls continue in the order in which they came. */
  learn(task: unknown, access: Access): Promise<void>
  /** The registered options of a task that is scheduled by name. */
  defaultsOf(task: unknown): Registered | undefined
}

/** Creates a registry. */
export function createRegistry(logger: Logger | undefined): Registry {
  const warned = new Set<string>()
  let known: ReadonlyMap<string, Registered> = new Map()
  let readAtMs = Number.NEGATIVE_INFINITY
  let reading: Promise<void> | undefined

  async function read(access: Access): Promise<void> {
    try {
      const definitions = await findDefinitions(access)
      known = new Map(definitions.map(definition => [definition.name, toDefaults(definition)]))
    } catch {
      // A role that may schedule need not have the right to look. Other failures show in the call itself.
    }
  }

  /** A task of `defineTask` brings its own name and options. */
  function nameToLearn(task: unknown): string | undefined {
    if (typeof task === 'string') return task
    return typeof task === 'function' && definedNameOf(task) === undefined ? task.name : undefined
  }

  function isStale(task: unknown): boolean {
    const name = nameToLearn(task)
    if (name === undefined) return false
    const { registryMs, unknownRegistryMs } = schedulingTimings
    return performance.now() - readAtMs > (known.has(name) ? registryMs : unknownRegistryMs)
  }

  function warnIfUnknown(task: unknown): void {
    if (typeof task !== 'function' || known.size === 0 || known.has(task.name) || warned.has(task.name)) return
    warned.add(task.name)
    const message = `No worker knows ${task.name}, which is the name of a function. A minifier may have made it. ${NAMING_REMEDY}`
    if (logger) logger.warn(message, { event: 'task.unknown', task: task.name })
    else process.emitWarning(message, { code: 'KRETES_UNKNOWN_TASK' })
  }

  return {
    isUnread: task => reading !== undefined || isStale(task),
    async learn(task, access) {
      if (!isStale(task)) return await reading
      readAtMs = performance.now()
      const own = read(access)
      reading = own
      await own
      // Until all calls that waited have continued, a new call must not overtake them.
      setTimeout(() => {
        if (reading === own) reading = undefined
      })
      warnIfUnknown(task)
    },
    defaultsOf: task => (typeof task === 'string' ? known.get(task) : undefined)
  }
}

function toDefaults({ queue, queueConcurrency, priority, maxAttempts, version, limits }: Definition): Registered {
  return {
    ...(queue !== undefined && { queue: queue === null ? null : toQueue(queue, queueConcurrency) }),
    ...(priority !== undefined && { priority }),
    ...(maxAttempts !== undefined && { maxAttempts }),
    ...(version !== undefined && { version }),
    ...(limits !== undefined && { isLimited: true })
  }
}

function toQueue(name: string, concurrency: number | undefined): Queue {
  return concurrency === undefined ? { name } : { name, concurrency }
}
