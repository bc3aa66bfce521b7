import { isIP } from 'node:net'
import type { ConnectionOptions } from 'node:tls'
import { type Address, isSocket } from './address.ts'
import { passwordFromFile } from './passfile.ts'
import { type Tls, tlsOf } from './tls.ts'

/** Options of postgres.js. They are complete: the driver reads neither a connection string nor the environment. */
export interface PostgresOptions {
  readonly host: string[]
  readonly port: number[]
  readonly path?: string
  readonly user: string
  readonly database: string
  readonly password: string
  readonly ssl: Tls
  readonly sslnegotiation: string | null
  readonly connect_timeout: number
  readonly target_session_attrs: string | undefined
  readonly connection: Readonly<Record<string, string>>
}

/**
 * Returns the options of postgres.js for an address.
 *
 * @param name the name that `pg_stat_activity` shows; a name in the address wins over it
 */
export function optionsForPostgres(address: Address, name: string): PostgresOptions {
  const { hosts, user, database, parameters, settings } = address
  const socket = hosts.find(isSocket)
  const { target_session_attrs, options } = parameters
  return {
    host: hosts.map(({ name, ip }) => ip ?? name),
    port: hosts.map(({ port }) => port),
    ...(socket && { path: `${socket.name}/.s.PGSQL.${socket.port}` }),
    user,
    database,
    password: passwordOf(address),
    ssl: withName(tlsOf(address), address),
    sslnegotiation: parameters.sslnegotiation === 'direct' ? 'direct' : null,
    connect_timeout: secondsToConnect(address),
    target_session_attrs: target_session_attrs === 'any' ? undefined : target_session_attrs,
    connection: { ...settings, ...(options && { options }), application_name: nameOf(address, name) }
  }
}

/** Options of node-postgres. They are complete, too. */
export interface PgOptions {
  readonly host: string
  readonly port: number
  readonly user: string
  readonly database: string
  readonly password: string
  readonly ssl: false | ConnectionOptions
  readonly sslnegotiation: 'postgres' | 'direct'
  readonly enableChannelBinding: boolean
  readonly connectionTimeoutMillis: number
  readonly application_name: string
  readonly options: string | undefined
  /** Whether to connect without TLS if the server has none. */
  readonly isTlsOptional: boolean
}

/** Returns the options of node-postgres for each host of an address, since that driver supports only one host. */
export function optionsForPg(address: Address, name: string): PgOptions[] {
  const { hosts, user, database, parameters, settings } = address
  const tls = withName(tlsOf(address), address)
  const stated = Object.entries(settings).map(([key, value]) => `-c ${key}=${value.replace(/[\\\s]/g, '\\$&')}`)
  const common = {
    user,
    database,
    password: passwordOf(address),
    ssl: tls === 'prefer' ? { rejectUnauthorized: false } : tls,
    isTlsOptional: tls === 'prefer',
    sslnegotiation: parameters.sslnegotiation === 'direct' ? ('direct' as const) : ('postgres' as const),
    enableChannelBinding: parameters.channel_binding !== 'disable' && tls !== false,
    connectionTimeoutMillis: secondsToConnect(address) * 1_000,
    application_name: nameOf(address, name),
    options: [parameters.options, ...stated].filter(Boolean).join(' ') || undefined
  }
  return hosts.map(({ name: host, ip, port }) => ({ ...common, host: ip ?? host, port }))
}

function passwordOf(address: Address): string {
  return address.parameters.password ?? passwordFromFile(address) ?? ''
}

/** The certificate is checked against the host's name, even if the connection goes to its IP address. */
function withName(tls: Tls, { hosts }: Address): Tls {
  const [only] = hosts
  return typeof tls === 'object' && only?.ip && !isIP(only.name) ? { ...tls, servername: only.name } : tls
}

function nameOf({ parameters }: Address, name: string): string {
  return parameters.application_name ?? parameters.fallback_application_name ?? name
}

/** Limited to the default of 10 seconds: peers wait for a worker's heartbeat. */
function secondsToConnect({ parameters: { connect_timeout } }: Address): number {
  const given = Number(connect_timeout ?? 0)
  return given > 0 ? Math.min(Math.max(given, 2), MOST_SECONDS) : MOST_SECONDS
}

const MOST_SECONDS = 10
