/**
 * Reads the parts of a connection string and returns them by libpq's names. It differs from a web address: `#` and `+`
 * have no special meaning, a host may be a path, and there may be several hosts.
 *
 * @throws {TypeError} if the text is not a connection string
 */
export function readUri(text: string, what: string): Record<string, string> {
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(text)?.[1]?.toLowerCase()
  if (scheme && scheme !== 'postgres' && scheme !== 'postgresql') {
    throw wrong(what, `its scheme is ${scheme}, not postgres`)
  }
  // Keep the value out of the message: it may contain a password.
  const rest = /^postgres(?:ql)?:\/\/(.*)$/is.exec(text)?.[1]
  if (rest === undefined) throw wrong(what, 'it is not a URL such as postgres://user@host/database')
  const { login, hosts, path, query } = split(rest)
  const [user = '', ...password] = login.split(':')
  const given: Record<string, string> = {}
  const put = (name: string, value: string): void => {
    if (value !== '') given[name] = value
  }
  put('user', decode(user, what, 'user'))
  put('password', decode(password.join(':'), what, 'password'))
  put('dbname', decode(path, what, 'database'))
  const servers = hosts.split(',').map(host => readHost(host, what))
  put('host', servers.map(({ host }) => host).join(','))
  if (servers.some(({ port }) => port !== '')) put('port', servers.map(({ port }) => port).join(','))
  for (const [name, value] of readQuery(query, what)) put(name, value)
  return given
}

/** Creates the error for a connection string that cannot be used. */
export function wrong(what: string, reason: string): TypeError {
  return new TypeError(`Cannot use ${what}: ${reason}`)
}

interface Parts {
  readonly login: string
  readonly hosts: string
  readonly path: string
  readonly query: string
}

/** A password may contain any character except `/`, which starts the name of the database. */
function split(rest: string): Parts {
  const slash = rest.indexOf('/')
  const at = rest.lastIndexOf('@', slash < 0 ? rest.length : slash)
  const address = rest.slice(at + 1)
  const [, hosts = '', path = '', query = ''] = /^([^/?]*)(?:\/([^?]*))?(?:\?(.*))?$/s.exec(address) ?? []
  return { login: rest.slice(0, Math.max(0, at)), hosts, path, query }
}

function readHost(text: string, what: string): { host: string; port: string } {
  const [, ip, name = '', port = ''] = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::([^:]*))?$/s.exec(text) ?? [
    undefined,
    undefined
  ]
  if (ip === undefined && name === '' && port === '' && text !== '') {
    throw wrong(what, 'its host is not valid: write an IPv6 address in brackets, as in [::1]')
  }
  return { host: decode(ip ?? name, what, 'host'), port: decode(port, what, 'port') }
}

function readQuery(query: string, what: string): [string, string][] {
  return query
    .split('&')
    .filter(part => part !== '')
    .map(part => {
      const end = part.indexOf('=')
      if (end < 1) throw wrong(what, `its parameter ${JSON.stringify(part.slice(0, 40))} is not written as name=value`)
      return alias(decodeIfPossible(part.slice(0, end)), decodeIfPossible(part.slice(end + 1)))
    })
}

/** Translates parameter names of other clients into libpq's names. */
function alias(name: string, value: string): [string, string] {
  if (name === 'ssl') return ['sslmode', SSL_MODES[value] ?? value]
  return [name === 'database' ? 'dbname' : name, value]
}

const SSL_MODES: Readonly<Record<string, string>> = {
  true: 'require',
  '1': 'require',
  false: 'disable',
  '0': 'disable'
}

function decode(text: string, what: string, part: string): string {
  if (/%(?![0-9a-f]{2})/i.test(text)) {
    throw wrong(what, `a % in its ${part} is not followed by two hexadecimal digits; write it as %25`)
  }
  try {
    return decodeURIComponent(text)
  } catch {
    throw wrong(what, `the % escapes in its ${part} are not valid UTF-8`)
  }
}

function decodeIfPossible(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
