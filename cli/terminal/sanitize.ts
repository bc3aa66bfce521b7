import { randomBytes } from 'node:crypto'
import { styleText } from 'node:util'
import type { Style } from '../context.ts'

/**
 * Makes a text safe to print; everything that is printed goes through here. Jobs hold data from strangers: a character
 * that a terminal obeys, or that a reader cannot see, is shown as its escape. JSON has the same escapes, so JSON keeps its
 * value. The colours of {@linkcode paint} survive.
 */
export function printable(text: string): string {
  return sanitize(text).replaceAll(MARK, '\u001b')
}

/** The same for a part of a text, before its width is measured. Line breaks stay. */
export function sanitize(text: string): string {
  if (PLAIN.test(text)) return text
  return text.replaceAll(/\r\n?/g, '\n').replaceAll('\t', '  ').replaceAll(UNSEEN, escapeUnits)
}

/** The same on one line, so that a name cannot pose as a line of ours. */
export function oneLine(text: string): string {
  return sanitize(text.replaceAll(/\s+/g, ' ').trim())
}

/** Styles a text. {@linkcode printable} turns these marks into colours, and the colours of others into escapes. */
export const paint: Style = (format, text) => {
  const [before, after] = styleText(format, SLOT, { validateStream: false }).replaceAll('\u001b', MARK).split(SLOT)
  return `${before}${text}${after}`
}

function escapeUnits(character: string): string {
  return character.replaceAll(/./gs, unit => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

/** Stands for our escape character: random private-use characters, so that no text can contain them. */
const MARK = String.fromCodePoint(...Array.from(randomBytes(8), byte => 0xf0000 + byte))
const SLOT = ' '

const PLAIN = /^[\n -~]*$/

// In these scripts, joiners shape the letters around them. Between emoji, they join two into one.
const SHAPED =
  '[\\p{sc=Arab}\\p{sc=Syrc}\\p{sc=Deva}\\p{sc=Beng}\\p{sc=Guru}\\p{sc=Gujr}\\p{sc=Orya}\\p{sc=Taml}\\p{sc=Telu}\\p{sc=Knda}\\p{sc=Mlym}\\p{sc=Sinh}]'
const JOINER = `(?<=${SHAPED})[\\u200c\\u200d](?=${SHAPED})|(?<=[\\p{ExtPict}\\p{EMod}\\ufe0f])\\u200d(?=\\p{ExtPict})`
const VARIANT = '(?<=\\p{ExtPict})[\\ufe0e\\ufe0f]|\\ufe0f(?=\\u20e3)'
/** Control characters, characters that change the writing direction or have no width, and lone surrogates. */
const UNSEEN = new RegExp(`(?!\\n|${JOINER}|${VARIANT})[\\p{Cc}\\p{Cs}\\p{Zl}\\p{Zp}\\p{DI}\\ufff9-\\ufffb]`, 'gu')
