/** A number in JSON that JavaScript cannot represent, and the value that it reads instead. */
export interface InexactNumber {
  readonly key: string
  readonly source: string
  readonly value: number
}

/**
 * Finds a number that JavaScript would change. The database keeps all digits, but a task reads its payload with
 * JavaScript.
 */
export function findInexactNumber(text: string): InexactNumber | undefined {
  // JavaScript keeps fifteen digits of any number.
  if (!/\d[\d.]{15}/.test(text)) return undefined
  let found: InexactNumber | undefined
  const revive = (key: string, value: unknown, context?: { source?: string }): unknown => {
    const source = context?.source
    if (typeof value === 'number' && source !== undefined && toDigits(source) !== toDigits(String(value))) {
      found ??= { key, source, value }
    }
    return value
  }
  JSON.parse(text, revive)
  return found
}

/** The significant digits of a number and its exponent, the same for every notation. */
function toDigits(number: string): string {
  const [, sign = '', whole = '', fraction = '', exponent = '0'] =
    /^(-?)(\d+)(?:\.(\d+))?(?:e([+-]?\d+))?$/i.exec(number) ?? []
  const digits = `${whole}${fraction}`.replace(/^0+/, '')
  const significant = digits.replace(/0+$/, '')
  if (significant === '') return '0'
  const point = digits.length - fraction.length + Number(exponent)
  return `${sign}${significant}e${point}`
}
