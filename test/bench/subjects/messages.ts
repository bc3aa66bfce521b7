/** What the process that measures is told, as the JSON text of its one argument. */
export function readSettings<Settings>(): Settings {
  // Who started it is gone: nobody waits for the result.
  process.on('disconnect', () => process.exit(1))
  return JSON.parse(process.argv[2] ?? '{}')
}

/** Tells the process that started this one. */
export function tell(message: object): Promise<void> {
  return new Promise((resolve, reject) =>
    process.send?.(message, (error: Error | null) => (error ? reject(error) : resolve()))
  )
}
