import { setImmediate } from 'node:timers/promises'
import type { Task } from 'kretes'

/**
 * Counts the primes up to a number, one slice at a time. Between slices it lets the worker do its other work (other
 * jobs, its heartbeat) and looks whether it should stop: long computations must do both, since JavaScript runs them on
 * one thread. It says how far it is, too.
 */
const CountPrimes: Task<{ upTo?: number }, number> = async ({ upTo = 500_000_000 }, { log, progress, signal }) => {
  if (!Number.isInteger(upTo) || upTo > MAX) throw new RangeError(`Cannot count primes up to ${upTo}: at most ${MAX}`)
  const basePrimes = primesUpTo(Math.floor(Math.sqrt(Math.max(upTo, 0))))
  let count = 0
  let nextReport = 10
  for (let start = 2, end = 0; start <= upTo; start = end + 1) {
    signal.throwIfAborted()
    end = Math.min(Math.ceil(start / SLICE) * SLICE, upTo)
    count += countBetween(start, end, basePrimes)
    progress(end / upTo, `${count} primes so far`)
    const percent = Math.floor((end / upTo) * 100)
    if (percent >= nextReport) {
      log(`${percent} %: ${count} primes up to ${end}`)
      nextReport = percent - (percent % 10) + 10
    }
    await setImmediate()
  }
  return count
}
export default CountPrimes

/** The sieve of Eratosthenes on one slice: what no prime divides up to the square root of its end is a prime. */
function countBetween(start: number, end: number, basePrimes: readonly number[]): number {
  const isComposite = new Uint8Array(end - start + 1)
  for (const prime of basePrimes) {
    if (prime * prime > end) break
    const first = Math.max(prime * prime, Math.ceil(start / prime) * prime)
    for (let multiple = first; multiple <= end; multiple += prime) isComposite[multiple - start] = 1
  }
  return isComposite.reduce((count, flag) => count + 1 - flag, 0)
}

function primesUpTo(limit: number): number[] {
  const primes: number[] = []
  for (let candidate = 2; candidate <= limit; candidate++) {
    if (isPrime(candidate, primes)) primes.push(candidate)
  }
  return primes
}

function isPrime(candidate: number, smallerPrimes: readonly number[]): boolean {
  for (const prime of smallerPrimes) {
    if (prime * prime > candidate) return true
    if (candidate % prime === 0) return false
  }
  return true
}

/** A slice takes a few milliseconds. */
const SLICE = 1_000_000

const MAX = 1_000_000_000_000
