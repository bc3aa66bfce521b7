import type { Style } from '../context.ts'
import { oneLine } from './sanitize.ts'
import { widthOf } from './width.ts'

/** Formats names and values, one pair per line, with aligned values. With a width, long values wrap at spaces. */
export function fields(
  rows: readonly (readonly [string, string])[],
  style: Style,
  { indent = '', width = Number.POSITIVE_INFINITY }: { indent?: string; width?: number } = {}
): string {
  const lines = rows.map(([name, value]) => [oneLine(name), oneLine(value)] as const)
  const nameWidth = Math.max(...lines.map(([name]) => widthOf(name)))
  const hanging = `\n${' '.repeat(indent.length + nameWidth + 2)}`
  const room = Math.max(width - hanging.length, LEAST_ROOM)
  return lines
    .map(([name, value]) => {
      const padding = ' '.repeat(nameWidth - widthOf(name))
      return `${indent}${style('dim', `${name}${padding}`)}  ${wrap(value, room).join(hanging)}`
    })
    .join('\n')
}

/** Wraps a text at its spaces. A word that is longer than a line gets a line of its own. */
function wrap(text: string, room: number): string[] {
  if (room === Number.POSITIVE_INFINITY) return [text]
  const lines: string[] = []
  for (const word of text.split(' ')) {
    const line = `${lines.at(-1)} ${word}`
    if (lines.length > 0 && widthOf(line) <= room) lines[lines.length - 1] = line
    else lines.push(word)
  }
  return lines
}

const LEAST_ROOM = 20
