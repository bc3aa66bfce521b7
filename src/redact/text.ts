import { KEYS, WHOLE } from './names.ts'

/** The replacement of a secret. */
export const REDACTED = '[redacted]'

/** Hides the passwords of connection strings in a message, and values that it assigns to secret names. */
export function hideInText(text: string): string {
  return hideInUrls(text).replaceAll(ASSIGNED, `$1${REDACTED}`).replaceAll(HEADER, `$1$2${REDACTED}`)
}

/** Hides the passwords of URLs in a text. */
export function hideInUrls(text: string): string {
  return text.includes('://') ? text.replaceAll(PASSWORD_IN_URL, `$1${REDACTED}@`) : text
}

// All repetitions are bounded, or end where the next begins, so that a hostile text does not take long.
const PASSWORD_IN_URL =
  /(\b[a-z][a-z\d+.-]{0,30}:\/\/[^\s:@/"'<>]{0,100}:)(?!\d+(?:[/?#\s]|$))[^\s"'<>]{0,200}?@(?![^\s/?#"'<>]{0,200}@)/gi
const QUOTED = '\\\\+"[^"]*"?|"(?:[^"\\\\]|\\\\.)*"?|\'(?:[^\'\\\\]|\\\\.)*\'?|`[^`]*`?'
const KEY = `passw(?:or)?d|passphrase|pwd|secret|token|credential|jwt|(?:${KEYS.join('|')})[-_ ]?key`
/** `password=…`, `"apiKey": "…"`, `(token)=(…)`; after a colon, an unquoted word or number may be prose. */
const ASSIGNED = new RegExp(
  `((?:${KEY}|(?<![a-z])(?:${WHOLE.join('|')}))[\\w.-]{0,20}[\\\\"'\`)\\]]{0,4}` +
    `\\s{0,2}(?:=>|=(?!=)|:(?=\\s{0,2}(?:[\\\\"'\`]|(?!\\d+(?:[\\s,;.)]|$))[^\\s,;]{0,100}\\d)))\\s{0,2})` +
    `(?!["']?\\[redacted\\])(?:${QUOTED}|\\([^)]{0,500}\\)|[^\\s,;&"'\`)}\\]<>]+)`,
  'gi'
)
const HEADER =
  /(authorization["']?\s?[:=]\s?["']?(?:(?:bearer|basic|digest|token)\s+)?|(?<=[a-z\d])-(?:key|token)["']?:\s?|\bbearer\s+(?=\S*\d))[^\s"',;}]+|(cookie["']?\s?[:=]\s?["']?)[^\n"']+/gi
