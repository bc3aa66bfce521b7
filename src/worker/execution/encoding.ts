/** Makes text fit a database whose encoding does not hold every character. */
export interface Fit {
  /** Text with escapes in place of characters that the encoding lacks. */
  text(text: string): string
  /** JSON that says the same in characters that every encoding has, for what is only read as a whole. */
  json<Json extends string | null>(json: Json): Json
  /** JSON whose texts SQL reads: with escapes in place of characters, like {@linkcode text}. */
  readableJson(json: string): string
}

/**
 * How text is made to fit. Text in an encoding other than UTF-8 is refused by the server for a single character that the
 * encoding lacks, and so is JSON with an escape for one as soon as SQL looks into it.
 *
 * @param encoding the server's `server_encoding`
 */
export function createFit(encoding: string): Fit {
  // SQL_ASCII takes any bytes as they come.
  if (encoding === 'UTF8' || encoding === 'SQL_ASCII') return FITS_ALL
  const lacking = encoding === 'LATIN1' ? /[^\0-\u00FF]/gu : /[^\0-\u007F]/gu
  const toEscape = (character: string): string => (character === '…' ? '...' : toEscapes(character))
  return {
    text: text => text.replace(lacking, toEscape),
    json: json => (json?.replace(lacking, toEscapes) ?? null) as typeof json,
    readableJson: json => json.replace(lacking, character => JSON.stringify(toEscape(character)).slice(1, -1))
  }
}

/** For UTF-8. */
export const FITS_ALL: Fit = { text: text => text, json: json => json, readableJson: json => json }

function toEscapes(character: string): string {
  return [...Array(character.length).keys()]
    .map(index => `\\u${character.charCodeAt(index).toString(16).padStart(4, '0')}`)
    .join('')
}
