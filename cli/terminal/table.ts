import type { Format, Output } from '../context.ts'
import { oneLine } from './sanitize.ts'
import { cut, widthOf } from './width.ts'

/** A column of a table. */
export interface Column<Row> {
  readonly title: string
  readonly cell: (row: Row) => Cell
  /** @default 'left' */
  readonly align?: 'left' | 'right'
  /** How short its cells may be cut where there is no room; by default they stay whole. */
  readonly least?: number
  /** Columns with a rank may be left out where there is no room, the highest rank first. */
  readonly rank?: number
}

/** The content of a cell, plain or styled. */
export type Cell = string | StyledCell

interface StyledCell {
  readonly text: string
  readonly format?: Format | undefined
  /** An end of the text that stays visible when the text is cut. */
  readonly tail?: string
}

/**
 * Formats rows below titles. Where the terminal is too narrow, the widest cells are cut first, as far as their columns
 * allow; then columns are left out.
 *
 * @returns the line of titles and a line for each row
 */
export function table<Row>(
  rows: readonly Row[],
  columns: readonly Column<Row>[],
  { style, columns: width = Number.POSITIVE_INFINITY }: Pick<Output, 'style' | 'columns'>
): string[] {
  const measured = columns.map(column => measure(column, rows))
  const shown = fit(measured, width)
  const titles = toLine(shown, ({ title }) => ({ text: title }), style)
  const lines = rows.map((_row, index) => toLine(shown, ({ cells }) => cells[index]!, style))
  return [style('dim', titles), ...lines]
}

interface MeasuredColumn {
  readonly title: string
  readonly cells: readonly StyledCell[]
  readonly align: 'left' | 'right'
  readonly least: number
  readonly rank: number | undefined
  readonly width: number
}

function measure<Row>({ title, cell, align = 'left', least, rank }: Column<Row>, rows: readonly Row[]): MeasuredColumn {
  const cells = rows.map(row => toStyledCell(cell(row)))
  const width = cells.reduce((most, { text }) => Math.max(most, widthOf(text)), title.length)
  return { title, cells, align, least: least ?? width, rank, width }
}

/** The text of the result includes its tail. */
function toStyledCell(cell: Cell): StyledCell {
  if (typeof cell === 'string') return { text: oneLine(cell) }
  return { ...cell, text: oneLine(`${cell.text}${cell.tail ?? ''}`) }
}

function fit(columns: readonly MeasuredColumn[], width: number): MeasuredColumn[] {
  const fitting = shrink(columns, width)
  if (totalOf(fitting) <= width) return fitting
  const [last] = columns.filter(({ rank }) => rank !== undefined).toSorted((a, b) => b.rank! - a.rank!)
  const others = columns.filter(column => column !== last)
  if (last) return fit(others, width)
  return fitting.length === 1 ? [{ ...fitting[0]!, width }] : fitting
}

/** Takes one character at a time from the widest column that may be cut. */
function shrink(columns: readonly MeasuredColumn[], width: number): MeasuredColumn[] {
  const shrunk = columns.map(column => ({ ...column }))
  for (let excess = totalOf(shrunk) - width; excess > 0; excess--) {
    const [widest] = shrunk.filter(column => column.width > column.least).toSorted((a, b) => b.width - a.width)
    if (!widest) break
    widest.width--
  }
  return shrunk
}

function totalOf(columns: readonly MeasuredColumn[]): number {
  return columns.reduce((sum, { width }) => sum + width, GAP.length * (columns.length - 1))
}

function toLine(
  columns: readonly MeasuredColumn[],
  cellOf: (column: MeasuredColumn) => StyledCell,
  style: Output['style']
): string {
  const cells = columns.map((column, index) => {
    const { text, format, tail = '' } = cellOf(column)
    const shown = cutBeforeTail(text, tail, column.width)
    const padding = ' '.repeat(column.width - widthOf(shown))
    const painted = format && shown !== '' ? style(format, shown) : shown
    if (column.align === 'right') return `${padding}${painted}`
    return index === columns.length - 1 ? painted : `${painted}${padding}`
  })
  return cells.join(GAP).trimEnd()
}

/** Cuts the text before its tail, down to a few characters, and only then the tail. */
function cutBeforeTail(text: string, tail: string, width: number): string {
  if (tail === '' || widthOf(text) <= width) return cut(text, width)
  const room = Math.max(LEAST_HEAD, width - widthOf(tail))
  return cut(`${cut(text.slice(0, -tail.length), room)}${tail}`, width)
}

const GAP = '  '
const LEAST_HEAD = 12
