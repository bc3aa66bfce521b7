/** Finds the known words that are closest to an unknown one, the nearest first. */
export function nearMatches(word: string, known: readonly string[]): string[] {
  const limit = Math.max(2, Math.floor(word.length / 3))
  return known
    .map(candidate => ({ candidate, distance: distance(word.toLowerCase(), candidate.toLowerCase()) }))
    .filter(({ candidate, distance }) => distance <= limit || isPrefix(word, candidate))
    .sort((left, right) => left.distance - right.distance)
    .slice(0, 3)
    .map(({ candidate }) => candidate)
}

/** Returns `. Did you mean X?` for the end of a message, or nothing. */
export function didYouMean(matches: readonly string[]): string {
  return matches.length === 0 ? '' : `. Did you mean ${matches.join(' or ')}?`
}

function isPrefix(word: string, candidate: string): boolean {
  return word.length > 1 && candidate.toLowerCase().startsWith(word.toLowerCase())
}

/** The Levenshtein distance of two words. */
function distance(left: string, right: string): number {
  let above = Array.from({ length: right.length + 1 }, (_, index) => index)
  for (const [row, letter] of [...left].entries()) {
    const current = [row + 1]
    for (let column = 0; column < right.length; column++) {
      const change = above[column]! + (right[column] === letter ? 0 : 1)
      current.push(Math.min(change, above[column + 1]! + 1, current[column]! + 1))
    }
    above = current
  }
  return above[right.length]!
}
