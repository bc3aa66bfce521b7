/** Writes a length of time in its largest unit: `3 seconds`, `2.5 hours`. */
export function lengthOf(ms: number): string {
  const [unit, length] = UNITS.find(([, length]) => ms >= length) ?? (['millisecond', 1] as const)
  const amount = Math.round((ms / length) * 10) / 10
  return counted(amount >= 10 ? Math.round(amount) : amount, unit)
}

/** Writes a number with its noun: `1 job`, `12,000 jobs`. */
export function counted(count: number, noun: string): string {
  return `${count.toLocaleString('en')} ${noun}${count === 1 ? '' : 's'}`
}

const UNITS = [
  ['day', 86_400_000],
  ['hour', 3_600_000],
  ['minute', 60_000],
  ['second', 1_000]
] as const
