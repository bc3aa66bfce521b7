/** The size of a payload as text. The server must decompress a payload for this only if the payload is compressed. */
export const BYTES =
  'case when pg_column_compression(payload) is null then pg_column_size(payload) else octet_length(payload::text) end'

/**
 * A claim takes jobs until their payloads reach this number of bytes as JSON text. It always takes the first job.
 * Parsed payloads take a few times as much memory.
 */
export const MOST_BYTES = 16 * 2 ** 20
