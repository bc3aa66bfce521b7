import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { fileURLToPath } from 'node:url'

const path = fileURLToPath(new URL('../../node_modules/.cache/kretes-test/durations.json', import.meta.url))

/** How long each test file took when it last passed, in milliseconds; what no run has recorded is missing. */
export function readDurations(): ReadonlyMap<string, number> {
  try {
    return new Map(Object.entries(JSON.parse(readFileSync(path, 'utf8')) as Record<string, number>))
  } catch {
    return new Map()
  }
}

/** Records durations beside those of other files. */
export function recordDurations(durations: ReadonlyMap<string, number>): void {
  const all = new Map([...readDurations(), ...durations])
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, JSON.stringify(Object.fromEntries([...all].sort()), undefined, 2))
}
