import { randomBytes } from 'node:crypto'
import { styleText } from 'node:util'
import type { Style } from '../context.ts'

/**
 * A text as it may be written to a terminal; everything that is printed goes through here. Jobs hold what strangers have
 * sent: a character that a terminal obeys, or that a reader cannot see, is shown as its escape. JSON has the same escapes,
 * so JSON keeps its value.
 */
export function printable(text: string): string {
  return harmless(text).replaceAll(MARK, '\u001b')
}

/** The same for a part of a text, before its width is measured. Lines stay lines. */
export function harmless(text: string): string {
  if (PLAIN.test(text)) return text
  return text.replaceAll(/\r\n?/g, '\n').replaceAll('\t', '  ').replaceAll(UNSEEN, escapeUnits)
}

/** The same on one line: a name must not pose as a line of ours. */
export function oneLine(text: string): string {
  return harmless(text.replaceAll(/\s+/g, ' ').trim())
}

/** Sets text off. {@linkcode printable} turns its marks into colours, and the colours of others into escapes. */
export const mark: Style = (format, text) => {
  const [before, after] = styleText(format, SLOT, { validateStream: false }).replaceAll('\u001b', MARK).split(SLOT)
  return `${before}${text}${after}`
}

function escapeUnits(character: string): string {
  return character.replaceAll(/./gs, unit => `\\u${unit.charCodeAt(0).toString(16).padStart(4, '0')}`)
}

/** Stands for our escape character: private letters, drawn anew in each process, so that no text can hold them. */
const MARK = String.fromCodePoint(...Array.from(randomBytes(8), byte => 0xf0000 + byte))
const SLOT = ' '

const PLAIN = /^[\n -~]*$/

// In these scripts, joiners shape the letters around them; between emoji, they make one of two.
const SHAPED =
  '[\\p{sc=Arab}\\p{sc=Syrc}\\p{sc=Deva}\\p{sc=Beng}\\p{sc=Guru}\\p{sc=Gujr}\\p{sc=Orya}\\p{sc=Taml}\\p{sc=Telu}\\p{sc=Knda}\\p{sc=Mlym}\\p{sc=Sinh}]'
const JOINER = `(?<=${SHAPED})[\\u200c\\u200d](?=${SHAPED})|(?<=[\\p{ExtPict}\\p{EMod}\\ufe0f])\\u200d(?=\\p{ExtPict})`
const VARIANT = '(?<=\\p{ExtPict})[\\ufe0e\\ufe0f]|\\ufe0f(?=\\u20e3)'
/** Controls, what turns the direction of writing or has no width, and halves of characters. */
const UNSEEN = new RegExp(`(?!\\n|${JOINER}|${VARIANT})[\\p{Cc}\\p{Cs}\\p{Zl}\\p{Zp}\\p{DI}\\ufff9-\\ufffb]`, 'gu')
