import { readFileSync } from 'node:fs'
import { type ConnectionOptions, checkServerIdentity, type SecureVersion } from 'node:tls'
import { type Address, isSocket } from './address.ts'
import { wrong } from './uri.ts'

/** How to encrypt connections: `false` never, `'prefer'` if the server supports it, else always with these options. */
export type Tls = false | 'prefer' | ConnectionOptions

/**
 * Reads `sslmode` and related parameters as libpq does, and `no-verify` as node-postgres does. By default connections
 * are not encrypted, as in both drivers; libpq would encrypt if the server supports it.
 *
 * @throws {TypeError} if parameters contradict each other, or a file cannot be read
 */
export function tlsOf({ hosts, parameters, what }: Address): Tls {
  const { sslrootcert, sslcert, sslkey, sslpassword, channel_binding, sslnegotiation } = parameters
  const isBound = channel_binding === 'require' || sslnegotiation === 'direct'
  // Like libpq, do not encrypt a Unix socket.
  if (hosts.every(isSocket)) return false
  const mode = modeOf(parameters.sslmode, sslrootcert, isBound)
  if (mode === 'disable' && isBound) throw wrong(what, 'its sslmode is disable, but its other parameters ask for TLS')
  if (mode === 'disable') return false
  if (mode === 'prefer') return 'prefer'
  if (mode === 'verify-ca' && !sslrootcert) {
    throw wrong(what, 'its sslmode is verify-ca, which takes a certificate authority as its sslrootcert')
  }
  const read = (name: string): Buffer => readFile(name, parameters[name] ?? '', what)
  const isVerified = mode === 'verify-ca' || mode === 'verify-full'
  const [only] = hosts
  return {
    rejectUnauthorized: isVerified,
    ...(isVerified && sslrootcert && sslrootcert !== 'system' && { ca: read('sslrootcert') }),
    ...(sslcert && { cert: read('sslcert') }),
    ...(sslkey && { key: read('sslkey') }),
    ...(sslpassword && { passphrase: sslpassword }),
    ...(parameters.ssl_min_protocol_version && { minVersion: parameters.ssl_min_protocol_version as SecureVersion }),
    ...(parameters.ssl_max_protocol_version && { maxVersion: parameters.ssl_max_protocol_version as SecureVersion }),
    // The drivers do not pass the name of a host that is an IP address.
    checkServerIdentity: (name, certificate) => {
      if (mode !== 'verify-full') return undefined
      return checkServerIdentity(hosts.length === 1 && only ? only.name : name, certificate)
    }
  }
}

function modeOf(given: string | undefined, root: string | undefined, isBound: boolean): string {
  const mode = given ?? (root === 'system' ? 'verify-full' : isBound ? 'require' : 'disable')
  if (mode === 'allow' || mode === 'prefer') return isBound ? 'require' : 'prefer'
  if (root === 'system' && mode !== 'disable') return 'verify-full'
  return mode === 'require' && root ? 'verify-ca' : mode
}

function readFile(name: string, path: string, what: string): Buffer {
  try {
    return readFileSync(path)
  } catch (error) {
    throw wrong(what, `its ${name} cannot be read: ${error instanceof Error ? error.message : error}`)
  }
}
