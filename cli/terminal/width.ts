/** How many columns a text takes in a terminal: East Asian characters and most emoji take two. */
export function widthOf(text: string): number {
  if (NARROW.test(text)) return text.length
  let width = 0
  for (const { segment } of graphemes().segment(text)) width += widthOfGrapheme(segment)
  return width
}

/** Cuts a text to a number of columns; a cut text ends with `…`. */
export function cut(text: string, most: number): string {
  if (widthOf(text) <= most) return text
  let kept = ''
  let width = 0
  for (const { segment } of graphemes().segment(text)) {
    width += widthOfGrapheme(segment)
    if (width > most - 1) break
    kept += segment
  }
  return most > 0 ? `${kept}…` : ''
}

function widthOfGrapheme(grapheme: string): number {
  if (/^\p{Mark}/u.test(grapheme)) return 0
  return WIDE.test(grapheme) ? 2 : 1
}

/** Created on first use: that takes as long as a round trip to a database. */
const graphemes = (): Intl.Segmenter => (segmenter ??= new Intl.Segmenter())
let segmenter: Intl.Segmenter | undefined
const NARROW = /^[ -~]*$/
const WIDE =
  /^(?:\p{Emoji_Presentation}|.\ufe0f|[\u1100-\u115f\u2e80-\u303e\u3041-\u33ff\u3400-\u4dbf\u4e00-\u9fff\ua000-\ua4cf\uac00-\ud7a3\uf900-\ufaff\ufe30-\ufe6f\uff00-\uff60\uffe0-\uffe6\u{20000}-\u{3fffd}])/u
