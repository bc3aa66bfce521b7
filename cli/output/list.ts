import type { Output } from '../context.ts'
import type { Arguments } from '../input/options.ts'
import { type Cell, type Column, table } from '../terminal/table.ts'

/** A page as lines of a table. */
interface Lines {
  readonly columns: readonly Column[]
  readonly rows: readonly Cell[][]
  /** What to say if there are none. */
  readonly none: string
}

/** Prints a page of a list: as JSON, or as a table and how to get the next page. */
export function printPage(
  page: { readonly cursor?: string | undefined },
  { columns, rows, none }: Lines,
  args: Arguments,
  output: Output
): void {
  if (args.flag('json')) {
    output.line(JSON.stringify(page))
    return
  }
  if (rows.length === 0) output.notice(none)
  else output.line(table(columns, rows, output))
  if (page.cursor) output.notice(output.noticeStyle('dim', `More with --cursor ${page.cursor}`))
}
