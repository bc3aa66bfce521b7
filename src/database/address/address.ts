import { userInfo } from 'node:os'
import { isSetting, PARAMETERS, unknownParameter, VARIABLES } from './parameters.ts'
import { readUri, wrong } from './uri.ts'

/** Where a database is and how it lets us in, read as libpq reads it. */
export interface Address {
  /** In the order in which they are tried. */
  readonly hosts: readonly Host[]
  readonly user: string
  readonly database: string
  /** What else is given, by libpq's names. */
  readonly parameters: Given
  /** Settings of the server for each session. */
  readonly settings: Readonly<Record<string, string>>
  /** Who names it, for an error. */
  readonly what: string
}

/** One server. */
export interface Host {
  /** A name, an IP address, or the directory of a Unix socket. */
  readonly name: string
  /** The IP address to connect to, if the name is not to be looked up. */
  readonly ip?: string | undefined
  readonly port: number
}

/** Values by the names of their parameters. */
export type Given = Readonly<Record<string, string | undefined>>

/** Variables, such as those of a process. */
export type Environment = Readonly<Record<string, string | undefined>>

/**
 * Reads a connection string. What it leaves out comes from the environment, and then from libpq's defaults; but a server
 * is looked for at `localhost`, since where its socket is depends on how it was built.
 *
 * @param url without, the environment says all
 * @param what who names it, for an error
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
  if (!user) throw wrong(what, 'it names no user, and the system has no name for this one')
  return { hosts: toHosts(given, what), user, database: given.dbname || user, parameters: given, settings, what }
}

/** How a log may name a database: without its password and parameters. */
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
    // A container may run under a number that has no name.
    return env.USER ?? env.LOGNAME ?? env.USERNAME
  }
}
