/**
 * Closes holes in the result of a statement. The driver counts the rows of a connection and starts anew only when a
 * statement succeeds (postgres 3.4.9). After one that failed in the midst of its rows, or after a lost connection, the
 * next result has its first row behind as many holes. What a list has besides its rows stays.
 */
export function closeHoles<Rows extends readonly unknown[]>(rows: Rows): Rows {
  if (rows.length > 0 && rows[0] === undefined) {
    const holes = rows.findIndex(row => row !== undefined)
    ;(rows as unknown as unknown[]).splice(0, holes)
  }
  return rows
}
