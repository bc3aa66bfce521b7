/** How many columns of a terminal a text takes: letters of East Asian scripts and most emoji take two. */
export function widthOf(text: string): number {
  if (NARROW.test(text)) return text.length
  let width = 0
  for (const { segment } of graphemes.segment(text)) width += widthOfGrapheme(segment)
  return width
}

/** A text of at most so many columns; one that is longer ends with `…`. */
export function cut(text: string, most: number): string {
  if (widthOf(text) <= most) return text
  let kept = ''
  let width = 0
  for (const { segment } of graphemes.segment(text)) {
    width += widthOfGrapheme(segment)
    if (width > most - 1) break
    kept += segment
  }
  return most > 0 ? `${kept}…` : ''
}

/**
 * A text on one line. What would make a terminal do something else than show it, be it a colour or worse, is shown as
 * what it is: jobs may hold what strangers have sent.
 */
export function oneLine(text: string): string {
  return text.replaceAll(/\s+/g, ' ').replaceAll(CONTROLS, escapeControl).trim()
}

/** The same, but lines stay lines. */
export function harmless(text: string): string {
  return text.replaceAll(/\r\n?/g, '\n').replaceAll('\t', '  ').replaceAll(CONTROLS_WITHIN_LINES, escapeControl)
}

function escapeControl(character: string): string {
  return `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`
}

function widthOfGrapheme(grapheme: string): number {
  if (/^\p{Mark}/u.test(grapheme)) return 0
  return WIDE.test(grapheme) ? 2 : 1
}

const graphemes = new Intl.Segmenter()
const NARROW = /^[ -~]*$/
const WIDE =
  /^(?:\p{Emoji_Presentation}|.\ufe0f|[\u1100-\u115f\u2e80-\u303e\u3041-\u33ff\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{20000}-\u{3fffd}])/u
// Also what turns the direction of writing, by which a text can pose as another.
const CONTROLS = /[\p{Cc}\u202a-\u202e\u2066-\u2069]/gu
const CONTROLS_WITHIN_LINES = /(?!\n)[\p{Cc}\u202a-\u202e\u2066-\u2069]/gu
