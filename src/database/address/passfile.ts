import { readFileSync, statSync } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import process from 'node:process'
import { type Address, isSocket } from './address.ts'

/**
 * Reads the password of a database from a password file, as libpq does: from `passfile`, or else from the file in the
 * home directory. A file that other users can read is ignored.
 */
export function passwordFromFile({ hosts, database, user, parameters }: Address): string | undefined {
  const path = parameters.passfile ?? defaultPath()
  const [host] = hosts
  const lines = path === undefined ? [] : readLines(path)
  const names = host && isSocket(host) ? [host.name, 'localhost'] : [host?.name]
  for (const line of lines) {
    const fields = [...line.matchAll(/(?:^|:)((?:\\.|[^:\\])*)/gs)].map(([, field = '']) =>
      field.replace(/\\(.)/gs, '$1')
    )
    const [itsHost, port, itsDatabase, itsUser, password] = fields
    const isIts =
      (itsHost === '*' || names.includes(itsHost)) &&
      matches(port, String(host?.port)) &&
      matches(itsDatabase, database) &&
      matches(itsUser, user)
    if (isIts) return password
  }
  return undefined
}

function matches(pattern: string | undefined, value: string): boolean {
  return pattern === '*' || pattern === value
}

function readLines(path: string): string[] {
  try {
    const { mode } = statSync(path)
    if (process.platform !== 'win32' && (mode & 0o077) !== 0) return []
    return readFileSync(path, 'utf8')
      .split(/\r?\n/)
      .filter(line => line !== '' && !line.startsWith('#'))
  } catch {
    return []
  }
}

function defaultPath(): string | undefined {
  if (process.platform === 'win32') return process.env.APPDATA && join(process.env.APPDATA, 'postgresql/pgpass.conf')
  try {
    return join(homedir(), '.pgpass')
  } catch {
    return undefined
  }
}
