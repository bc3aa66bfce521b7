import process from 'node:process'
import { cleanUp } from '../helpers/cleanup.ts'
import { startServer } from '../helpers/server.ts'
import { chooseSeed, createRandom, type Outcome, type Scale } from './fault.ts'
import { faults } from './faults/mod.ts'

/**
 * `npm run test:chaos [-- words…]`: provokes every fault, or those whose names hold one of the words, on a PostgreSQL
 * that writes to disk, and prints a table.
 *
 * Environment: KRETES_CHAOS_SEED (as printed, to repeat a pass), KRETES_CHAOS_SCALE (`short` or `full`).
 */

const words = process.argv.slice(2)
if (words.some(word => word.startsWith('-'))) explain(words)
const scale: Scale = process.env.KRETES_CHAOS_SCALE === 'short' ? 'short' : 'full'
const seed = chooseSeed()
console.log(`Seed ${seed}, ${scale} pass`)

// Whoever was started is killed when this process exits, whichever way.
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.once(signal, () => process.exit(1))

const server = await startServer({ isDurable: true })
const chosen = faults.filter(({ name }) => words.length === 0 || words.some(word => name.includes(word)))
const rows: string[][] = [['fault', 'rounds', 'jobs', 'twice', 'lost', 'recovery', '']]
const failures: string[] = []
try {
  for (const { name, run } of chosen) {
    const beganMs = performance.now()
    try {
      const outcome = await run({ server, scale, random: createRandom(seed) })
      rows.push(toRow(name, outcome))
    } catch (error) {
      rows.push([name, '', '', '', '', '', 'FAILED'])
      failures.push(`${name}: ${error instanceof Error ? error.stack : error}`)
    }
    console.log(
      `${((performance.now() - beganMs) / 1_000).toFixed(1).padStart(6)} s  ${rows.at(-1)?.join('  ').trimEnd()}`
    )
  }
} finally {
  await cleanUp()
  await server.stop()
}

const widths = rows[0]?.map((_, column) => Math.max(...rows.map(row => row[column]?.length ?? 0))) ?? []
console.log(
  `\n${rows
    .map(row =>
      row
        .map((cell, column) => cell.padEnd(widths[column] ?? 0))
        .join('  ')
        .trimEnd()
    )
    .join('\n')}`
)
for (const failure of failures) console.log(`\n${failure}`)
console.log(`\n${chosen.length - failures.length} faults survived, ${failures.length} not; seed ${seed}`)
process.exit(failures.length > 0 ? 1 : 0)

/** Says how it is called; ends with 2 unless that was the question. */
function explain(options: readonly string[]): never {
  const unknown = options.find(word => word.startsWith('-') && word !== '--help' && word !== '-h')
  if (unknown !== undefined) console.error(`Cannot run the chaos suite: there is no option ${unknown}\n`)
  console.log('Usage: npm run test:chaos [-- words…]\n')
  console.log('Provokes these faults, or those whose names hold one of the words:\n')
  for (const { name } of faults) console.log(`  ${name}`)
  console.log('\nKRETES_CHAOS_SEED repeats a pass. KRETES_CHAOS_SCALE is short or full (default: full).')
  process.exit(unknown === undefined ? 0 : 2)
}

function toRow(name: string, { rounds, verdict, recoveryMs, note = '' }: Outcome): string[] {
  const { jobs, duplicates, lost } = verdict
  return [name, ...[rounds, jobs, duplicates, lost].map(String), `${(recoveryMs / 1_000).toFixed(1)} s`, note]
}
