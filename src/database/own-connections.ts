import postgres, { type Options, type Sql } from 'postgres'
import { clientWithoutHoles } from './holes.ts'
import { connect, type Database } from './open.ts'

/** Runs work on connections that nothing else uses, in no transaction. */
export async function withOwnConnections<Result>(
  { client, url }: Database,
  work: (sql: Sql) => Promise<Result>
): Promise<Result> {
  const options = { max: MOST_CONNECTIONS, prepare: false, fetch_types: false }
  const sql = client
    ? clientWithoutHoles(postgres({ ...client.options, ...options } as unknown as Options<Record<string, never>>))
    : connect({ url }, { max: MOST_CONNECTIONS, prepare: false, name: 'kretes doctor' })
  try {
    return await work(sql)
  } finally {
    await sql.end({ timeout: 1 })
  }
}

const MOST_CONNECTIONS = 3
