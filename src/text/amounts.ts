/**
 * A length of time for people, in its largest unit.
 *
 * @param style `long` for `2.5 hours`, `short` for `2.5 h`, `whole` for `2 h`, rounded down
 */
export function lengthOf(ms: number, style: 'long' | 'short' | 'whole' = 'long'): string {
  const isWhole = style === 'whole'
  // Rounded, 59.7 seconds are a minute, and not 60 seconds.
  const rounding = isWhole ? 0 : 0.5
  const fits = UNITS.findIndex(({ length }, index) => ms >= length - rounding * (UNITS[index + 1]?.length ?? 0))
  const { unit, symbol, length } = UNITS.at(fits)!
  const exact = ms / length
  const amount = isWhole ? Math.floor(exact) : exact >= 9.95 ? Math.round(exact) : Math.round(exact * 10) / 10
  return style === 'long' ? counted(amount, unit) : `${grouped(amount)} ${symbol}`
}

/** A number and what it counts: `1 job`, `12,000 jobs`. */
export function counted(count: number, noun: string): string {
  return `${grouped(count)} ${noun}${count === 1 ? '' : 's'}`
}

/** Small numbers need no grouping. Its rules take long to load. */
function grouped(number: number): string {
  return number < 1_000 ? String(number) : number.toLocaleString('en')
}

const UNITS = [
  { unit: 'day', symbol: 'd', length: 86_400_000 },
  { unit: 'hour', symbol: 'h', length: 3_600_000 },
  { unit: 'minute', symbol: 'min', length: 60_000 },
  { unit: 'second', symbol: 's', length: 1_000 },
  { unit: 'millisecond', symbol: 'ms', length: 1 }
] as const
