import { Logger, runMigrations } from 'graphile-worker'
import postgres, { type Sql } from 'postgres'
import { createBackground } from '../../src/background.ts'
import type { System } from './report.ts'
import { openClientOf, payload } from './subjects/system.ts'

/** Jobs that a database holds before the measuring begins. */
export interface Filling {
  task: 'Trivial' | 'Backlog'
  count: number
  /** Over how many named queues they are spread; 0 is none. */
  queues: number
  /** For how long they have been due. */
  ageMs?: number
}

/** A database of its own for one sample. */
export interface SampleDatabase extends AsyncDisposable {
  readonly url: string
  readonly sql: Sql
}

/** Makes databases on the run's server. */
export interface Databases {
  /** A fresh one with the schema that the system itself installs, and with these jobs. */
  create(system: System, fillings?: readonly Filling[]): Promise<SampleDatabase>
  /** PostgreSQL's version. */
  version(): Promise<string>
  close(): Promise<void>
}

/**
 * Each sample begins with a copy of a database that was filled once, so that all samples of a measure find the very same
 * tables, statistics included.
 */
export function createDatabases(serverUrl: string): Databases {
  const admin = postgres(serverUrl, { max: 2, onnotice: () => {} })
  const templates = new Map<string, Promise<string>>()
  let count = 0

  function urlOf(name: string): string {
    const url = new URL(serverUrl)
    url.pathname = `/${name}`
    return url.href
  }

  function templateFor(system: System, fillings: readonly Filling[]): Promise<string> {
    const engine = system === 'tuned' ? 'defaults' : system
    const key = JSON.stringify([engine, fillings])
    const found =
      templates.get(key) ??
      makeTemplate(`bench_${process.pid}_${engine.toLowerCase()}_${templates.size}`, engine, fillings)
    templates.set(key, found)
    return found
  }

  async function makeTemplate(name: string, engine: System, fillings: readonly Filling[]): Promise<string> {
    await admin`create database ${admin(name)}`
    const url = urlOf(name)
    await install(engine, url)
    const sql = postgres(url, { max: 1, onnotice: () => {} })
    for (const filling of fillings) await (isGraphile(engine) ? fill(sql, filling) : fillBy(engine, url, filling))
    await sql`vacuum analyze`
    await sql.end()
    return name
  }

  return {
    async create(system, fillings = []) {
      const template = await templateFor(system, fillings)
      const name = `bench_${process.pid}_sample_${++count}`
      await admin`create database ${admin(name)} template ${admin(template)}`
      // Otherwise the writing of the copy falls into the measuring.
      await admin`checkpoint`
      const url = urlOf(name)
      const sql = postgres(url, { max: 1, onnotice: () => {} })
      const drop = async (): Promise<void> => {
        await sql.end({ timeout: 1 })
        await admin`drop database if exists ${admin(name)} with (force)`
      }
      return { url, sql, [Symbol.asyncDispose]: drop }
    },
    async version() {
      const [row] = await admin<{ version: string }[]>`select current_setting('server_version') as version`
      return row?.version ?? 'unknown'
    },
    async close() {
      // The server may be somebody's own, and stay.
      for (const template of await Promise.allSettled(templates.values())) {
        if (template.status === 'fulfilled') await admin`drop database if exists ${admin(template.value)} with (force)`
      }
      await admin.end({ timeout: 1 })
    }
  }
}

/** Gives a database the schema that the system itself installs. */
async function install(engine: System, url: string): Promise<void> {
  if (engine === 'kretes') {
    await using background = createBackground({ connection: url })
    await background.migrate()
  } else if (engine === 'bullmqPostgres') {
    await (await import('./subjects/systems/bullmq.ts')).install(url)
  } else if (engine === 'pgboss') {
    await using _client = await openClientOf(engine, url)
  } else {
    await runMigrations({ connectionString: url, logger: new Logger(() => () => {}) })
  }
}

function isGraphile(engine: System): boolean {
  return engine === 'kretes' || engine === 'defaults'
}

/** Fills a store through the system's own bulk call. */
export async function fillBy(engine: System, url: string, { task, count }: Filling): Promise<void> {
  await using client = await openClientOf(engine, url)
  for (let left = count; left > 0; left -= CHUNK) {
    await client.scheduleMany(task, new Array(Math.min(left, CHUNK)).fill(payload))
  }
}

async function fill(sql: Sql, { task, count, queues, ageMs = 0 }: Filling): Promise<void> {
  for (let from = 1; from <= count; from += CHUNK) {
    await sql`
      select count(*) from graphile_worker.add_jobs(array(
        select row(
          ${task}::text,
          ${JSON.stringify(payload)}::text::json,
          case when ${queues}::int > 0 then 'queue ' || (number % greatest(${queues}::int, 1)) end,
          now() - make_interval(secs => ${ageMs / 1_000}::float8),
          null, null, null, null
        )::graphile_worker.job_spec
        from generate_series(${from}::int, ${Math.min(count, from + CHUNK - 1)}::int) as number
      ))`
  }
}

const CHUNK = 5_000
