import type { LimitChange, LimitState, LimitTarget } from '../../../src/flow/limits.ts'
import { defineCommand, type Group } from '../../command.ts'
import { withBackground } from '../../database.ts'
import { databaseUrl, flag, text, wholeNumber } from '../../input/options.ts'
import { explainMisuse, UsageError } from '../../input/usage-error.ts'
import { printList } from '../../output/list.ts'
import { plainTime } from '../../output/times.ts'
import { oneLine } from '../../terminal/sanitize.ts'
import type { Column } from '../../terminal/table.ts'

/** `kretes background limits list`: lists the limits. */
const list = defineCommand({
  usage: 'list',
  summary: 'List the limits, and how much of each is in use',
  options: { json: flag('--json', 'Print the list as JSON'), databaseUrl },

  async run({ options }, context) {
    const found = await withBackground(options, context, background => background.limits.list())
    if (options.json) context.output.json(found)
    else printList({}, found, COLUMNS, 'No limits: no worker has registered a task with one', context.output)
    return 0
  }
})

const targetOptions = {
  task: text('--task <name>', 'The task with the limit'),
  limit: text('--limit <name>', 'The limit that tasks share'),
  queue: text('--queue <name>', 'The queue with a concurrency'),
  perKey: flag('--per-key', 'The limit for each key, if the task has two'),
  json: flag('--json', 'Print the limit as JSON'),
  databaseUrl
}

/** `kretes background limits set`: changes a limit. */
const set = defineCommand({
  usage: 'set',
  summary: 'Set a limit for all workers, until reset',
  options: {
    ...targetOptions,
    concurrency: wholeNumber('--concurrency <number>', 'How many jobs run at the same time', [1, 1_000_000]),
    rate: text('--rate <rate>', 'How many jobs begin within a period: 100/min, 10/30s')
  },
  examples: program => [`  $ ${program} set --limit stripe --concurrency 5 --rate 20/s`],

  async run({ options }, context) {
    const { concurrency, rate } = options
    const target = readTarget(options, 'set a limit')
    if (concurrency === undefined && rate === undefined) {
      throw new UsageError('Cannot set a limit: say to what: --concurrency <number> or --rate <rate>')
    }
    const change = { ...target, concurrency, rate } as LimitChange
    const limit = await withBackground(options, context, background =>
      background.limits.set(change).catch(explainMisuse)
    )
    if (options.json) context.output.json(limit)
    else context.output.line(`Set ${labelOf(limit)} to ${sizeOf(limit)}. The code declares ${declaredOf(limit)}`)
    return 0
  }
})

/** `kretes background limits reset`: takes back a change. */
const reset = defineCommand({
  usage: 'reset',
  summary: 'Let a limit be what the code declares again',
  options: targetOptions,
  examples: program => [`  $ ${program} reset --limit stripe`],

  async run({ options }, context) {
    const target = readTarget(options, 'reset a limit')
    const limit = await withBackground(options, context, background =>
      background.limits.reset(target).catch(explainMisuse)
    )
    if (options.json) context.output.json(limit)
    else context.output.line(`Reset ${labelOf(limit)} to ${sizeOf(limit)}`)
    return 0
  }
})

/** `kretes background limits`: the commands for limits. */
export const limits: Group = {
  name: 'limits',
  summary: 'List and set the limits of tasks and queues',
  commands: [defineCommand({ ...list, usage: '' }), list, set, reset]
}

function readTarget(
  { task, limit, queue, perKey }: Record<'task' | 'limit' | 'queue', string | undefined> & { readonly perKey: boolean },
  verb: string
): LimitTarget {
  const targets: readonly LimitTarget[] = Object.entries({ task, limit, queue }).flatMap(([kind, name]) =>
    name === undefined ? [] : [{ [kind]: name }]
  )
  if (targets.length !== 1) {
    const wrong = targets.length === 0 ? 'say which' : 'give only one'
    throw new UsageError(`Cannot ${verb}: ${wrong}: --task <name>, --limit <name> or --queue <name>`)
  }
  if (perKey && task === undefined) throw new UsageError(`Cannot ${verb}: --per-key is only for the limits of a task`)
  return { ...targets[0]!, ...(perKey && { perKey }) }
}

function labelOf({ kind, name, perKey }: LimitState): string {
  const of = { task: 'of ', queue: 'of the queue ', shared: '' }[kind]
  return oneLine(`the limit ${of}${name}${perKey ? ' for each key' : ''}`)
}

/** What a limit lets through: `5 at a time, 20/s`. */
function sizeOf({ concurrency, rate }: Pick<LimitState, 'concurrency' | 'rate'>): string {
  return [concurrency === null ? [] : `${concurrency} at a time`, rate ?? []].flat().join(', ')
}

function declaredOf({ declaredConcurrency, declaredRate }: LimitState): string {
  return sizeOf({ concurrency: declaredConcurrency, rate: declaredRate })
}

const COLUMNS: readonly Column<LimitState>[] = [
  { title: 'LIMIT', least: 10, cell: ({ name }) => name },
  {
    title: 'OF',
    cell: ({ kind, perKey }) => `${kind === 'shared' ? 'several tasks' : kind}${perKey ? ', per key' : ''}`
  },
  { title: 'SLOTS', align: 'right', cell: ({ concurrency }) => (concurrency === null ? '' : String(concurrency)) },
  { title: 'IN USE', align: 'right', cell: ({ used }) => String(used) },
  { title: 'RATE', align: 'right', cell: ({ rate }) => rate ?? '' },
  { title: 'BEGUN', align: 'right', cell: ({ begun }) => (begun === null ? '' : String(begun)) },
  { title: 'WAITING', align: 'right', cell: ({ waiting }) => String(waiting) },
  { title: 'HELD UNTIL', cell: ({ heldUntil }) => (heldUntil ? plainTime(heldUntil) : '') },
  { title: 'CHANGED', cell: limit => (limit.setAt ? `${plainTime(limit.setAt)}, from ${declaredOf(limit)}` : '') }
]
