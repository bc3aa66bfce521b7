/**
 * Removes empty items from the start of a result. The driver counts the rows of a connection and resets the counter
 * only when a statement succeeds (postgres 3.4.9). After a statement that failed in the middle of its rows, or after a
 * lost connection, the next result starts with as many empty items. Other properties of the array stay.
 */
export function closeHoles<Rows extends readonly unknown[]>(rows: Rows): Rows {
  if (rows.length > 0 && rows[0] === undefined) {
    const holes = rows.findIndex(row => row !== undefined)
    ;(rows as unknown as unknown[]).splice(0, holes)
  }
  return rows
}
