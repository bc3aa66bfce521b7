import { compileCron } from '../../cron/expression.ts'
import { loadWithHome } from '../../database/home-directory.ts'

/** A line of a crontab in the engine's own format. */
export interface CrontabItem {
  /** The number of the line, from 1. */
  readonly line: number
  readonly cron: string
  readonly task: string
  /** The `id` of the line, or the task. */
  readonly id: string
  readonly payload: Readonly<Record<string, unknown>>
  readonly queue: string | undefined
  readonly priority: number | undefined
  readonly maxAttempts: number | undefined
  /** Whether the engine would make up for missed occurrences. */
  readonly isBackfilled: boolean
  /** Whether its jobs have a key, which recurring jobs do not have. */
  readonly hasKey: boolean
}

/** Reads a crontab in the engine's own format. It reads all lines and reports all problems, one line each. */
export async function readCrontab(text: string): Promise<{ items: CrontabItem[]; problems: string[] }> {
  const { parseCrontab } = await loadWithHome(() => import('graphile-worker'))
  const items: CrontabItem[] = []
  const problems: string[] = []
  for (const [index, raw] of text.split(/\r?\n/).entries()) {
    const content = raw.trim()
    if (content === '' || content.startsWith('#')) continue
    const line = index + 1
    const [, cron = '', command] = /^((?:\S+\s+){4}\S+)\s+(.+)$/.exec(content) ?? []
    if (command === undefined) {
      problems.push(`line ${line}: it needs five fields of time and a task, as in: 0 9 * * * SendReport`)
      continue
    }
    try {
      compileCron(cron, 'UTC', '')
      const [item] = parseCrontab(`* * * * * ${command}`)
      const { task, identifier, options, payload } = item!
      const { queueName, priority, maxAttempts, backfillPeriod, jobKey } = options
      items.push({
        line,
        cron,
        task,
        id: identifier,
        payload: payload ?? {},
        queue: queueName,
        priority,
        maxAttempts,
        isBackfilled: backfillPeriod > 0,
        hasKey: jobKey !== undefined
      })
    } catch (error) {
      problems.push(`line ${line}: ${toReason(error, command)}`)
    }
  }
  return { items, problems }
}

/** The messages of the engine name a line of its own text. */
function toReason(error: unknown, command: string): string {
  const message = error instanceof Error ? error.message : String(error)
  if (message.startsWith('Invalid command specification')) {
    return `${JSON.stringify(command)} is no task with options and payload, as in: SendReport ?id=daily { region: "eu" }`
  }
  return message
    .replace(/^Cannot : /, '')
    .replace(/ (?:on|in) line 1 of crontab/g, '')
    .replace(/\s+/g, ' ')
    .replace(/\.$/, '')
}
