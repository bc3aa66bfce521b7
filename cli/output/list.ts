import type { Output } from '../context.ts'
import { type Column, table } from '../terminal/table.ts'

/** A page of a list. */
interface Page {
  readonly cursor?: string | undefined
}

/** Prints a page of a list as a table, and how to get the next page. */
export function printList<Row>(
  { cursor }: Page,
  rows: readonly Row[],
  columns: readonly Column<Row>[],
  noRows: string,
  output: Output
): void {
  if (rows.length === 0) output.notice(noRows)
  else output.line(table(rows, columns, output).join('\n'))
  if (cursor) output.notice(output.noticeStyle('dim', `More with --cursor ${cursor}`))
}
