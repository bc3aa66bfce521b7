import { didYouMean, nearMatches } from '../../text/suggest.ts'

/** Returns the problem of a value, or `undefined`. */
type Check = (value: string) => string | undefined

const any: Check = () => undefined
const oneOf =
  (...values: readonly string[]): Check =>
  value =>
    values.includes(value) ? undefined : `none of ${values.join(', ')}`
const unsupported: Check = () => 'which is not supported'
const seconds: Check = value => (/^-?\d+$/.test(value) ? undefined : 'not a whole number of seconds')

/** The parameters of a connection string, with a check of their values. */
export const PARAMETERS: Readonly<Record<string, Check>> = {
  host: any,
  hostaddr: any,
  port: any,
  dbname: any,
  user: any,
  password: any,
  passfile: any,
  connect_timeout: seconds,
  application_name: any,
  fallback_application_name: any,
  options: any,
  // Both drivers support only UTF8.
  client_encoding: value => (/^(auto|utf-?8|unicode)$/i.test(value) ? undefined : 'not UTF8'),
  target_session_attrs: oneOf('any', 'read-write', 'read-only', 'primary', 'standby', 'prefer-standby'),
  channel_binding: oneOf('disable', 'prefer', 'require'),
  sslmode: oneOf('disable', 'allow', 'prefer', 'require', 'no-verify', 'verify-ca', 'verify-full'),
  sslnegotiation: oneOf('postgres', 'direct'),
  sslrootcert: any,
  sslcert: any,
  sslkey: any,
  sslpassword: any,
  ssl_min_protocol_version: oneOf('TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'),
  ssl_max_protocol_version: oneOf('TLSv1', 'TLSv1.1', 'TLSv1.2', 'TLSv1.3'),
  // Accepted and ignored, which does no harm: keepalive settings and attempts that libpq makes first.
  keepalives: any,
  keepalives_idle: any,
  keepalives_interval: any,
  keepalives_count: any,
  tcp_user_timeout: any,
  sslcompression: any,
  sslcertmode: oneOf('disable', 'allow'),
  sslsni: any,
  load_balance_hosts: oneOf('disable', 'random'),
  gssencmode: oneOf('disable', 'prefer'),
  gssdelegation: any,
  gsslib: any,
  krbsrvname: any,
  min_protocol_version: any,
  max_protocol_version: any,
  // Refused, since ignoring them would make a connection less strict than its string says.
  service: unsupported,
  sslcrl: unsupported,
  sslcrldir: unsupported,
  requirepeer: unsupported,
  require_auth: unsupported,
  replication: unsupported,
  // Parameters of other clients: Prisma, node-postgres, Supabase.
  schema: any,
  connection_limit: any,
  pool_timeout: any,
  socket_timeout: any,
  statement_cache_size: any,
  pgbouncer: any,
  uselibpqcompat: any,
  supa: any
}

/** The environment variables, with the names of their parameters. */
export const VARIABLES: Readonly<Record<string, string>> = {
  PGHOST: 'host',
  PGHOSTADDR: 'hostaddr',
  PGPORT: 'port',
  PGDATABASE: 'dbname',
  PGUSER: 'user',
  PGPASSWORD: 'password',
  PGPASSFILE: 'passfile',
  PGCONNECT_TIMEOUT: 'connect_timeout',
  PGAPPNAME: 'application_name',
  PGOPTIONS: 'options',
  PGTARGETSESSIONATTRS: 'target_session_attrs',
  PGCHANNELBINDING: 'channel_binding',
  PGSSLMODE: 'sslmode',
  PGSSLNEGOTIATION: 'sslnegotiation',
  PGSSLROOTCERT: 'sslrootcert',
  PGSSLCERT: 'sslcert',
  PGSSLKEY: 'sslkey',
  PGSSLMINPROTOCOLVERSION: 'ssl_min_protocol_version',
  PGSSLMAXPROTOCOLVERSION: 'ssl_max_protocol_version'
}

/** Whether a name is a setting that a session of the server may change. */
export function isSetting(name: string): boolean {
  return SETTINGS.has(name.toLowerCase()) || /^enable_[a-z_]+$/i.test(name) || /^[a-z_]\w*(?:\.\w+)+$/i.test(name)
}

/** Returns the problem of a name that is neither a parameter nor a setting. */
export function unknownParameter(name: string): string {
  const matches = nearMatches(name, [...Object.keys(PARAMETERS), ...SETTINGS])
  return `it has the parameter ${JSON.stringify(name.slice(0, 40))}, which PostgreSQL does not know${didYouMean(matches)}`
}

const SETTINGS: ReadonlySet<string> = new Set([
  'bytea_output',
  'client_connection_check_interval',
  'client_min_messages',
  'commit_delay',
  'constraint_exclusion',
  'cpu_tuple_cost',
  'datestyle',
  'deadlock_timeout',
  'default_statistics_target',
  'default_table_access_method',
  'default_tablespace',
  'default_toast_compression',
  'default_transaction_deferrable',
  'default_transaction_isolation',
  'default_transaction_read_only',
  'effective_cache_size',
  'effective_io_concurrency',
  'extra_float_digits',
  'from_collapse_limit',
  'geqo',
  'gin_pending_list_limit',
  'hash_mem_multiplier',
  'idle_in_transaction_session_timeout',
  'idle_session_timeout',
  'intervalstyle',
  'jit',
  'jit_above_cost',
  'join_collapse_limit',
  'lc_messages',
  'lc_monetary',
  'lc_numeric',
  'lc_time',
  'lock_timeout',
  'log_duration',
  'log_lock_waits',
  'log_min_duration_statement',
  'log_min_messages',
  'log_statement',
  'logical_decoding_work_mem',
  'maintenance_work_mem',
  'max_parallel_maintenance_workers',
  'max_parallel_workers',
  'max_parallel_workers_per_gather',
  'parallel_leader_participation',
  'plan_cache_mode',
  'random_page_cost',
  'role',
  'row_security',
  'search_path',
  'seq_page_cost',
  'session_replication_role',
  'standard_conforming_strings',
  'statement_timeout',
  'synchronize_seqscans',
  'synchronous_commit',
  'tcp_keepalives_count',
  'tcp_keepalives_idle',
  'tcp_keepalives_interval',
  'temp_buffers',
  'temp_file_limit',
  'temp_tablespaces',
  'timezone',
  'track_activities',
  'track_functions',
  'track_io_timing',
  'transaction_timeout',
  'wal_compression',
  'work_mem',
  'xmlbinary',
  'xmloption'
])
