import { userInfo } from 'node:os'
import { isSetting, PARAMETERS, unknownParameter, VARIABLES } from './parameters.ts'
import { readUri, wrong } from './uri.ts'

/** The servers of a database and the parameters of the connection, as libpq reads them. */
export interface Address {
  /** The servers, in the order in which they are tried. */
  readonly hosts: readonly Host[]
  readonly user: string
  readonly database: string
  /** All given parameters, by libpq's names. */
  readonly parameters: Given
  /** Server settings for each session. */
  readonly settings: Readonly<Record<string, string>>
  /** The source of the address, for error messages. */
  readonly what: string
}

/** One server. */
export interface Host {
  /** A name, an IP address, or the directory of a Unix socket. */
  readonly name: string
  /** The IP address to connect to; the name is then not looked up. */
  readonly ip?: string | undefined
  readonly port: number
}

/** Values by the names of their parameters. */
export type Given = Readonly<Record<string, string | undefined>>

/** Environment variables. */
export type Environment = Readonly<Record<string, string | undefined>>

/**
 * Reads a connection string. Missing parts come from the environment, then from libpq's defaults. The default host is
 * `localhost`, since the place of a server's socket depends on its build.
 *
 * @param url the connection string; with `undefined` all parts come from the environment
 * @param what the source of the connection string, for error messages
 * @throws {TypeError} if it cannot be read, or has a parameter that has no meaning here
 */
export function readAddress(url: string | undefined, env: Environment, what = 'the connection'): Address {
  const uri = url === undefined ? {} : readUri(url, what)
  const settings: Record<string, string> = {}
  const given: Record<string, string> = {}
  for (const [name, value] of Object.entries(uri)) {
    if (Object.hasOwn(PARAMETERS, name)) given[name] = value
    else if (isSetting(name)) settings[name] = value
    else throw wrong(what, unknownParameter(name))
  }
  for (const [name, value] of Object.entries(given)) check(name, value, `its ${name}`, what)
  for (const [variable, name] of Object.entries(VARIABLES)) {
    const value = env[variable]
    if (!value || given[name] !== undefined) continue
    check(name, value, variable, what)
    given[name] = value
  }
  const user = given.user || systemUser(env) || ''
  if (!user) throw wrong(what, 'it names no user, and the system user has no name')
  return { hosts: toHosts(given, what), user, database: given.dbname || user, parameters: given, settings, what }
}

/** Returns the name of a database for logs, without password and parameters. */
export function describeAddress({ hosts, parameters: { dbname, user } }: Address, isUserNamed: boolean): string {
  const places = hosts.map(({ name, port }) => {
    const host = name.includes(':') ? `[${name}]` : name
    return port === DEFAULT_PORT ? host : `${host}:${port}`
  })
  return `${isUserNamed && user ? `${user}@` : ''}${places.join()}/${dbname ?? (isUserNamed ? '' : (user ?? ''))}`
}

/** Whether a host is the directory of a Unix socket. */
export function isSocket({ name }: Host): boolean {
  return name.startsWith('/')
}

const DEFAULT_PORT = 5432

function check(name: string, value: string, label: string, what: string): void {
  const reason = PARAMETERS[name]?.(value)
  if (reason) throw wrong(what, `${label} is ${JSON.stringify(value.slice(0, 40))}, ${reason}`)
}

function toHosts({ host = '', hostaddr, port = '' }: Given, what: string): Host[] {
  const ips = hostaddr?.split(',')
  const names = host === '' && ips ? ips : host.split(',')
  const ports = port.split(',')
  if (ports.length > 1 && ports.length !== names.length) {
    throw wrong(what, `it has ${names.length} hosts and ${ports.length} ports`)
  }
  return names.map((name, index) => {
    const text = ports[ports.length === 1 ? 0 : index] || String(DEFAULT_PORT)
    const number = Number(text)
    if (!/^\d+$/.test(text) || number < 1 || number > 65_535) {
      throw wrong(what, `its port is ${JSON.stringify(text)}, not a number from 1 to 65535`)
    }
    return { name: name || 'localhost', ip: ips?.[index], port: number }
  })
}

function systemUser(env: Environment): string | undefined {
  try {
    return userInfo().username
  } catch {
    // A container may run as a user id without a name.
    return env.USER ?? env.LOGNAME ?? env.USERNAME
  }
}
