import type { Style } from '../context.ts'
import { oneLine } from './sanitize.ts'
import { cut, widthOf } from './width.ts'

/** A column of a table. */
export interface Column {
  readonly title: string
  /** @default 'left' */
  readonly align?: 'left' | 'right'
  /** To how few characters it may be cut where there is no room; whole by default. */
  readonly least?: number
}

/** What stands in a table, plain or set off. */
export type Cell = string | FormattedCell

interface FormattedCell {
  readonly text: string
  readonly format?: Parameters<Style>[0]
  /** Its end, which stays to be seen where the text is cut. */
  readonly tail?: string
}

/** What {@linkcode table} needs of where it is written. */
export interface TableOptions {
  readonly style: Style
  /** How many columns the terminal has; without, nothing is cut. */
  readonly columns: number | undefined
}

/** Rows below titles, aligned; what is too long for the terminal is cut, where a column allows it. */
export function table(
  columns: readonly Column[],
  rows: readonly (readonly Cell[])[],
  { style, columns: room }: TableOptions
): string {
  const texts = rows.map(row => columns.map((_column, index) => oneLine(textOf(row[index]))))
  const natural = columns.map(({ title }, index) =>
    Math.max(widthOf(title), ...texts.map(row => widthOf(row[index] ?? '')))
  )
  const widths = room === undefined ? natural : fit(columns, natural, room)
  const title = line(
    columns,
    widths,
    columns.map(column => column.title)
  )
  const body = texts.map((row, index) =>
    line(
      columns,
      widths,
      row,
      (text, column) => {
        const cell = rows[index]?.[column]
        return typeof cell === 'object' && cell.format ? style(cell.format, text) : text
      },
      rows[index]?.map(tailOf)
    )
  )
  return [style('dim', title), ...body].join('\n')
}

/** Takes from the widest columns first, down to what each may be cut to. */
function fit(columns: readonly Column[], natural: readonly number[], room: number): number[] {
  const widths = [...natural]
  const isTooWide = (): boolean => widths.reduce((sum, width) => sum + width, GAP.length * (widths.length - 1)) > room
  while (isTooWide()) {
    let widest = -1
    for (const [index, width] of widths.entries()) {
      const { least = Number.POSITIVE_INFINITY } = columns[index] ?? {}
      if (width > least && (widest < 0 || width > (widths[widest] ?? 0))) widest = index
    }
    if (widest < 0) break
    widths[widest] = (widths[widest] ?? 0) - 1
  }
  return widths
}

function line(
  columns: readonly Column[],
  widths: readonly number[],
  texts: readonly string[],
  paint: (text: string, column: number) => string = text => text,
  tails: readonly string[] = []
): string {
  const cells = columns.map(({ align }, index) => {
    const width = widths[index] ?? 0
    const text = cutBeforeTail(texts[index] ?? '', tails[index] ?? '', width)
    const padding = ' '.repeat(Math.max(0, width - widthOf(text)))
    const isLast = index === columns.length - 1
    return align === 'right' ? `${padding}${paint(text, index)}` : `${paint(text, index)}${isLast ? '' : padding}`
  })
  return cells.join(GAP).trimEnd()
}

/** Cuts what comes before the tail, down to a few letters, and only then the tail. */
function cutBeforeTail(text: string, tail: string, width: number): string {
  if (tail === '' || widthOf(text) <= width) return cut(text, width)
  const room = Math.max(LEAST_HEAD, width - widthOf(tail))
  return cut(`${cut(text.slice(0, -tail.length), room)}${tail}`, width)
}

function textOf(cell: Cell | undefined): string {
  return typeof cell === 'object' ? `${cell.text}${cell.tail ?? ''}` : (cell ?? '')
}

function tailOf(cell: Cell): string {
  return typeof cell === 'object' ? (cell.tail ?? '') : ''
}

const GAP = '  '
const LEAST_HEAD = 12
