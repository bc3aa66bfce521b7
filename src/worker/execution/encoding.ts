/** Makes text fit a database whose encoding lacks some characters. */
export interface Fit {
  /** Replaces characters that the encoding lacks with escapes. */
  text(text: string): string
  /** Returns equal JSON in characters that every encoding has. For JSON that SQL does not look into. */
  json<Json extends string | null>(json: Json): Json
  /** For JSON whose strings SQL reads. Changes the strings as {@linkcode text} does. */
  readableJson(json: string): string
}

/**
 * Creates the functions for an encoding. A server with an encoding other than UTF-8 refuses text with a character that
 * the encoding lacks. It also refuses JSON with an escape for such a character as soon as SQL looks into the JSON.
 *
 * @param encoding the server's `server_encoding`
 */
export function createFit(encoding: string): Fit {
  // SQL_ASCII accepts any bytes unchanged.
  if (encoding === 'UTF8' || encoding === 'SQL_ASCII') return FITS_ALL
  const lacking = encoding === 'LATIN1' ? /[^\0-\u00FF]/gu : /[^\0-\u007F]/gu
  const toEscape = (character: string): string => (character === '…' ? '...' : toEscapes(character))
  return {
    text: text => text.replace(lacking, toEscape),
    json: json => (json?.replace(lacking, toEscapes) ?? null) as typeof json,
    readableJson: json => json.replace(lacking, character => JSON.stringify(toEscape(character)).slice(1, -1))
  }
}

/** For UTF-8: changes nothing. */
export const FITS_ALL: Fit = { text: text => text, json: json => json, readableJson: json => json }

function toEscapes(character: string): string {
  return [...Array(character.length).keys()]
    .map(index => `\\u${character.charCodeAt(index).toString(16).padStart(4, '0')}`)
    .join('')
}
