/**
 * Closes holes in the result of a statement. The driver resets its count of a connection's rows only when a
 * statement succeeds (postgres 3.4.9). After a statement that failed between two rows, or after a lost connection, the next
 * result begins with as many holes. The properties of the list stay.
 */
export function closeHoles<Rows extends readonly unknown[]>(rows: Rows): Rows {
  if (rows.length > 0 && rows[0] === undefined) {
    const holes = rows.findIndex(row => row !== undefined)
    ;(rows as unknown as unknown[]).splice(0, holes)
  }
  return rows
}
