/** The first place at which a text is not JSON. */
export interface JsonFault {
  /** How many characters come before it. */
  readonly at: number
  /** What JSON allows there. */
  readonly expected: string
}

/** Finds the first place at which a text is not JSON. The errors of JavaScript engines differ, and may lack the place. */
export function findJsonFault(text: string): JsonFault | undefined {
  let at = 0

  function take(pattern: RegExp): boolean {
    pattern.lastIndex = at
    if (!pattern.test(text)) return false
    at = pattern.lastIndex
    return true
  }
  function takeToken(token: string): boolean {
    take(SPACE)
    if (!text.startsWith(token, at)) return false
    at += token.length
    return true
  }
  function expect(isThere: boolean, expected: string): void {
    if (!isThere) throw new Fault({ at, expected })
  }

  function value(): void {
    if (takeToken('{')) members('}', member)
    else if (takeToken('[')) members(']', value)
    else if (text[at] === '"') string()
    else expect(take(SCALAR), 'a value')
  }
  function members(end: string, read: () => void): void {
    if (takeToken(end)) return
    do read()
    while (takeToken(','))
    expect(takeToken(end), `"," or "${end}"`)
  }
  function member(): void {
    take(SPACE)
    expect(text[at] === '"', 'a name in double quotes')
    string()
    expect(takeToken(':'), '":"')
    value()
  }
  function string(): void {
    expect(take(STRING), 'a string that ends with a double quote and holds no line break')
  }

  try {
    value()
    take(SPACE)
    expect(at === text.length, 'the end')
    return undefined
  } catch (error) {
    // JSON that is nested too deeply overflows the stack and stays unexplained.
    return error instanceof Fault ? error.fault : undefined
  }
}

/** Describes a fault: `at character 3, expected a name in double quotes, found to: 1 }`. */
export function describeFault(text: string, { at, expected }: JsonFault): string {
  const rest = text.slice(at, at + EXCERPT)
  const found = rest === '' ? 'the end' : `${rest.replaceAll(/\s+/g, ' ')}${text.length > at + EXCERPT ? '…' : ''}`
  return `at character ${at + 1}, expected ${expected}, found ${found}`
}

class Fault extends Error {
  readonly fault: JsonFault

  constructor(fault: JsonFault) {
    super(fault.expected)
    this.fault = fault
  }
}

const SPACE = /[ \t\n\r]*/y
// JSON forbids only the control characters below the space.
const STRING = /"(?:[^"\\\p{Cc}]|[\u007f-\u009f]|\\(?:["\\/bfnrt]|u[\da-fA-F]{4}))*"/uy
const SCALAR = /(?:true|false|null|-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?)(?![\w.])/y
const EXCERPT = 20
