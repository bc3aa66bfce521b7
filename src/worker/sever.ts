import type { Connection } from 'pg'

/**
 * Closes the connection of one of pg's clients, whose peer may not answer. Not by a goodbye: it would never be answered
 * either, and a client that has said it tells nobody when its connection ends.
 */
export function sever(client: object): void {
  // What the types of pg leave out.
  const { connection } = client as { readonly connection: Connection }
  connection.stream.destroy()
}
