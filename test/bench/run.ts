import { writeFile } from 'node:fs/promises'
import { availableParallelism, cpus, loadavg } from 'node:os'
import { parseArgs } from 'node:util'
import { cleanUp } from '../helpers/cleanup.ts'
import { startServer } from '../helpers/server.ts'
import { createDatabases, type Databases } from './databases.ts'
import type { Bench, Measure } from './measure.ts'
import { parallel } from './measures/drain.ts'
import { herd } from './measures/herd.ts'
import { history } from './measures/history.ts'
import { latency } from './measures/latency.ts'
import { lateness } from './measures/lateness.ts'
import { ledger } from './measures/ledger.ts'
import { memory } from './measures/memory.ts'
import { overhead } from './measures/overhead.ts'
import { queues } from './measures/queues.ts'
import { result } from './measures/result.ts'
import { schedule } from './measures/schedule.ts'
import { startup } from './measures/startup.ts'
import { starvation } from './measures/starvation.ts'
import { findRedis } from './redis.ts'
import { peers, type Report, toJson, toText } from './report.ts'
import { killSubjects } from './subject.ts'

const measures: readonly Measure[] = [
  schedule,
  overhead,
  parallel,
  ledger,
  history,
  queues,
  starvation,
  herd,
  latency,
  result,
  lateness,
  memory,
  startup
]

const help = `npm run bench [-- options]

Measures kretes, graphile-worker, pg-boss and BullMQ side by side on servers of their own.

  --only <names>  these measures alone, separated by commas
  --quick         smaller numbers, in about a minute
  --server <url>  on this PostgreSQL server, as a superuser; without, on one of npm's
  --json <file>   writes the figures of each round there, too
  --help          this

Measures:
${measures.map(({ name, description }) => `  ${name.padEnd(14)}${description}`).join('\n')}`

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => leave(130))
process.once('exit', killSubjects)
try {
  await main()
  await leave(0)
} catch (error) {
  console.error(error instanceof RangeError ? error.message : error)
  await leave(1)
}

async function main(): Promise<void> {
  const { only, quick, json, server: given, help: isHelp } = readOptions()
  if (isHelp) {
    console.log(help)
    return
  }
  const server = given === undefined ? await startServer({ major: '18', isDurable: true }) : undefined
  const databases = createDatabases(given ?? server!.url)
  const redis = await findRedis()
  if (!redis) console.log('Without BullMQ on Redis: there is no redis-server on the PATH')
  const bench: Bench = { databases, peers: peers.filter(peer => redis || peer !== 'bullmq'), isQuick: quick }
  try {
    const report: Report = { facts: await gatherFacts(databases, quick, redis), findings: {} }
    console.log(`kretes ${Object.entries(report.facts).flatMap(toFact).join(' · ')}\n`)
    for (const measure of only) {
      const startedMs = performance.now()
      process.stderr.write(`${measure.name.padEnd(12)}`)
      report.findings[measure.name] = await measure.run(bench)
      process.stderr.write(`${((performance.now() - startedMs) / 1_000).toFixed(0).padStart(4)} s\n`)
    }
    console.log(`\n${toText(report)}`)
    if (json === undefined) return
    await writeFile(json, toJson(report))
    console.log(`\nWritten to ${json}`)
  } finally {
    await databases.close()
    await server?.stop()
  }
}

interface Options {
  only: readonly Measure[]
  quick: boolean
  json: string | undefined
  server: string | undefined
  help: boolean
}

function readOptions(): Options {
  const { values } = parseArgs({
    options: {
      only: { type: 'string' },
      quick: { type: 'boolean', default: false },
      json: { type: 'string' },
      server: { type: 'string' },
      help: { type: 'boolean', default: false }
    }
  })
  const names = values.only?.split(',') ?? measures.map(({ name }) => name)
  const unknown = names.filter(name => !measures.some(measure => measure.name === name))
  if (unknown.length > 0) throw new RangeError(`Cannot measure ${unknown.join(', ')}: see --help`)
  return {
    ...values,
    json: values.json,
    server: values.server,
    only: measures.filter(({ name }) => names.includes(name))
  }
}

async function gatherFacts(databases: Databases, isQuick: boolean, redis?: string): Promise<Report['facts']> {
  return {
    date: new Date().toISOString().slice(0, 16),
    cores: availableParallelism(),
    processor: cpus()[0]?.model.trim() ?? 'unknown',
    load: Number((loadavg()[0] ?? 0).toFixed(1)),
    node: process.versions.node,
    postgresql: await databases.version(),
    fsync: true,
    redis: redis ? `Redis ${redis} (AOF everysec)` : false,
    quick: isQuick
  }
}

/** What is not so is not worth a word. */
function toFact([name, value]: [name: string, value: unknown]): string[] {
  if (typeof value === 'boolean') return value ? [name] : []
  return [typeof value === 'number' || name === 'node' || name === 'postgresql' ? `${name} ${value}` : String(value)]
}

async function leave(code: number): Promise<never> {
  killSubjects()
  await cleanUp()
  process.exit(code)
}
