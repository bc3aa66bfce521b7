import type { Style } from '../context.ts'
import { oneLine } from './sanitize.ts'
import { cut, widthOf } from './width.ts'

/** A column: what its cells say, and which columns go first where there is no room for all. */
export interface Column<Row> {
  readonly title: string
  readonly text: (row: Row) => string
  /** Whether it is set to the left, as names are. */
  readonly isName?: boolean
  /** A column of a higher number is left out earlier. */
  readonly rank: number
  /** How a cell is set off. */
  readonly format?: (row: Row) => Parameters<Style>[0] | undefined
}

/** Lines of a table that are no longer than a width: columns are left out, then names cut short. */
export function tableLines<Row>(
  rows: readonly Row[],
  columns: readonly Column<Row>[],
  { style, width }: { readonly style: Style; readonly width: number }
): string[] {
  const sized = columns.map(column => {
    const text = (row: Row): string => oneLine(column.text(row))
    return { ...column, text, size: Math.max(column.title.length, ...rows.map(row => widthOf(text(row)))) }
  })
  const shown = widen(fit(sized, width), sized, width)
  const line = (cell: (column: Sized<Row>) => string): string => shown.map(cell).join(GAP).trimEnd()
  return [
    line(column => style('dim', pad(column.title, column))),
    ...rows.map(row =>
      line(column => {
        const text = pad(column.text(row), column)
        const format = column.format?.(row)
        return format ? style(format, text) : text
      })
    )
  ]
}

interface Sized<Row> extends Column<Row> {
  readonly size: number
}

function fit<Row>(columns: readonly Sized<Row>[], width: number): Sized<Row>[] {
  const total = totalOf(columns)
  if (total <= width) return [...columns]
  const [name] = columns.filter(({ isName, size }) => isName && size > LEAST_NAME).toSorted((a, b) => b.size - a.size)
  if (name) {
    const size = Math.max(LEAST_NAME, name.size - (total - width))
    return fit(
      columns.map(column => (column === name ? { ...column, size } : column)),
      width
    )
  }
  const last = columns.toSorted((left, right) => right.rank - left.rank)[0]!
  return columns.length === 1 ? columns.map(column => ({ ...column, size: width })) : fit(without(columns, last), width)
}

/** Gives names back what room the columns that were left out have freed. */
function widen<Row>(shown: readonly Sized<Row>[], sized: readonly Sized<Row>[], width: number): Sized<Row>[] {
  let left = width - totalOf(shown)
  return shown.map(column => {
    const wanted = sized.find(({ title }) => title === column.title)!.size - column.size
    const more = Math.max(0, Math.min(wanted, left))
    left -= more
    return { ...column, size: column.size + more }
  })
}

function totalOf<Row>(columns: readonly Sized<Row>[]): number {
  return columns.reduce((sum, { size }) => sum + size, 0) + GAP.length * (columns.length - 1)
}

function without<Item>(items: readonly Item[], item: Item): Item[] {
  return items.filter(other => other !== item)
}

function pad<Row>(text: string, { size, isName = false }: Sized<Row>): string {
  const shown = cut(text, size)
  const padding = ' '.repeat(size - widthOf(shown))
  return isName ? `${shown}${padding}` : `${padding}${shown}`
}

const GAP = '  '
const LEAST_NAME = 16
