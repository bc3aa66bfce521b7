import { ownSchema } from '../names.ts'
import { type Execute, identifier, statement } from '../statement.ts'
import { partitionOf } from './partitions.ts'

/** Facts about a server. */
export interface ServerFacts {
  readonly version: string
  readonly versionNumber: number
  /** The time of the server's clock, in milliseconds since 1970. */
  readonly clockMs: number
  readonly hasAutovacuum: boolean
  readonly isReadOnly: boolean
  readonly user: string
}

/** Reads the version, the clock and some settings of a server. */
export async function readServer(execute: Execute): Promise<ServerFacts> {
  const [row] = await execute<{ facts: string }>(statement`
    select json_build_object(
      'version', current_setting('server_version'),
      'versionNumber', current_setting('server_version_num')::int,
      'clockMs', extract(epoch from clock_timestamp()) * 1000,
      'hasAutovacuum', current_setting('autovacuum')::bool,
      'isReadOnly', current_setting('transaction_read_only')::bool,
      'user', current_user
    )::text as facts`)
  return JSON.parse(row!.facts)
}

/** Listens on a channel. */
export async function listenOn(execute: Execute, channel: string): Promise<void> {
  await execute(statement`listen ${identifier(channel)}`)
}

/** Notifies the listeners of a channel. */
export async function notifyOn(execute: Execute, channel: string): Promise<void> {
  await execute(statement`select pg_notify(${channel}::text, '')::text`)
}

/** A transaction, a replication slot or a prepared transaction that keeps vacuum from removing dead rows. */
export interface Holder {
  readonly kind: 'transaction' | 'slot' | 'prepared'
  /** The name. */
  readonly name: string
  /** The age in milliseconds, if it is known. */
  readonly ageMs: number | null
}

/**
 * Finds transactions and replication slots that have kept vacuum from removing dead rows of this database for a long
 * time.
 */
export async function findHolders(execute: Execute, olderThanMs: number): Promise<Holder[]> {
  const [row] = await execute<{ holders: string }>(statement`
    with holders as (
      select
        'transaction' as kind,
        'process ' || pid || coalesce(' of ' || nullif(application_name, ''), '') || coalesce(' (' || state || ')', '') as name,
        extract(epoch from now() - xact_start) * 1000 as "ageMs"
      from pg_stat_activity
      where datname = current_database() and (backend_xmin is not null or backend_xid is not null)
        and pid <> pg_backend_pid() and backend_type = 'client backend' and query not ilike 'vacuum%'
      union all
      select 'slot', slot_name::text, extract(epoch from now() - (to_jsonb(slot) ->> 'inactive_since')::timestamptz) * 1000
      from pg_replication_slots slot
      where not active and (xmin is not null or catalog_xmin is not null) and coalesce(database, current_database()) = current_database()
      union all
      select 'prepared', gid, extract(epoch from now() - prepared) * 1000
      from pg_prepared_xacts
      where database = current_database()
    )
    select coalesce(json_agg(holders order by "ageMs" desc), '[]')::text as holders
    from holders
    where coalesce("ageMs", ${olderThanMs}::text::float8) >= ${olderThanMs}::text::float8`)
  return JSON.parse(row!.holders)
}

/** Facts about vacuum on the table of jobs. */
export interface JobTableFacts {
  /** The name, with the name of the schema. */
  readonly table: string
  readonly dead: number
  readonly live: number
  readonly hasAutovacuum: boolean
  /** `null` if the table was never vacuumed. */
  readonly vacuumedMsAgo: number | null
}

/** Reads how many dead rows the table of jobs has, by the server's statistics. */
export async function readJobTable(execute: Execute, schema: string): Promise<JobTableFacts> {
  const [row] = await execute<{ facts: string }>(statement`
    select json_build_object(
      'table', ${schema}::text || '._private_jobs',
      'dead', n_dead_tup,
      'live', n_live_tup,
      'hasAutovacuum', not exists (
        select from unnest(reloptions) option where option ilike 'autovacuum_enabled=%' and not split_part(option, '=', 2)::bool
      ),
      'vacuumedMsAgo', extract(epoch from now() - greatest(last_vacuum, last_autovacuum)) * 1000
    )::text as facts
    from pg_class
    join pg_stat_user_tables on relid = pg_class.oid
    where pg_class.oid = format('%I._private_jobs', ${schema}::text)::regclass`)
  return JSON.parse(row!.facts)
}

/** Facts about the ledger. */
export interface LedgerFacts {
  /** The names of the partitions. */
  readonly partitions: readonly string[]
  readonly bytes: number
  /** Whether partitions of today or tomorrow are missing, by the server's clock. */
  readonly isTodayMissing: boolean
  readonly isTomorrowMissing: boolean
  /** The current day, as a number of days since 1970-01-01 in UTC. */
  readonly today: number
}

/** Reads how large the ledger is and for which days it has partitions. */
export async function readLedger(execute: Execute, schema: string): Promise<LedgerFacts> {
  const [row] = await execute<{ partitions: string; bytes: string; today: number }>(statement`
    select
      coalesce(json_agg(relname order by relname), '[]')::text as partitions,
      coalesce(sum(pg_total_relation_size(pg_class.oid)), 0)::text as bytes,
      floor(extract(epoch from now()) / 86400)::int as today
    from pg_inherits
    join pg_class on pg_class.oid = inhrelid
    where inhparent = format('%I.ledger', ${ownSchema(schema)}::text)::regclass`)
  const { today } = row!
  const bytes = Number(row!.bytes)
  const partitions: string[] = JSON.parse(row!.partitions)
  const isMissing = (day: number): boolean =>
    [true, false].some(isFailure => !partitions.includes(partitionOf(day, isFailure)))
  return { partitions, bytes, today, isTodayMissing: isMissing(today), isTomorrowMissing: isMissing(today + 1) }
}

/** Finds the privileges that a worker needs and this user lacks. */
export async function findLackingPrivileges(execute: Execute, schema: string): Promise<string[]> {
  const own = ownSchema(schema)
  const [row] = await execute<{ lacking: string }>(statement`
    with needed as (
      select format('usage on schema %I', name) as privilege, has_schema_privilege(name, 'usage') as has
      from unnest(array[${schema}::text, ${own}::text]) name
      union all
      select format('create on schema %I', ${own}::text), has_schema_privilege(${own}::text, 'create')
      union all
      select
        format('select, insert, update and delete on %I.%I', nspname, relname),
        has_table_privilege(pg_class.oid, 'select') and has_table_privilege(pg_class.oid, 'insert')
          and has_table_privilege(pg_class.oid, 'update') and has_table_privilege(pg_class.oid, 'delete')
      from pg_class join pg_namespace on pg_namespace.oid = relnamespace
      where (nspname, relname) in (
        (${schema}::text, '_private_jobs'), (${schema}::text, '_private_job_queues'),
        (${own}::text, 'workers'), (${own}::text, 'ledger'), (${own}::text, 'counters'), (${own}::text, 'queue_counters'),
        (${own}::text, 'paused'), (${own}::text, 'declared_limits'), (${own}::text, 'leases'), (${own}::text, 'starts'), (${own}::text, 'holds'), (${own}::text, 'limit_minutes'),
        (${own}::text, 'recurring'), (${own}::text, 'recurring_versions')
      )
      union all
      select format('ownership of %I.ledger', ${own}::text), pg_has_role(relowner, 'usage')
      from pg_class join pg_namespace on pg_namespace.oid = relnamespace
      where nspname = ${own}::text and relname = 'ledger'
    )
    select coalesce(json_agg(privilege), '[]')::text as lacking from needed where not has`)
  return JSON.parse(row!.lacking)
}
