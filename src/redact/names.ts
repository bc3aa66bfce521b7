/** The values that a name hides. `texts` are all values but numbers and booleans. */
export type Hides = 'nothing' | 'texts' | 'numbers' | 'all'

/** Creates a function that tells what a name hides, by the usual words and more. It judges each name once. */
export function createNames(words: readonly string[]): (name: string) => Hides {
  const own = words.map(word => partsOf(word).join('-?')).filter(word => word !== '')
  const ownName = own.length > 0 ? new RegExp(`-(?:${own.join('|')})s?-`) : undefined
  const known = new Map<string, Hides>()

  function judge(name: string): Hides {
    const parts = `-${partsOf(name).join('-')}-`
    if (ownName?.test(parts)) return 'all'
    if (!NAME.test(parts)) return 'nothing'
    // A count or a length, as in maxTokens and passwordLength, is no secret.
    return NUMBER.test(parts) ? 'numbers' : 'texts'
  }

  return name => {
    let hides = known.get(name)
    if (hides !== undefined) return hides
    hides = judge(name)
    if (known.size >= MOST_NAMES) known.clear()
    if (name.length <= LONGEST_NAME) known.set(name, hides)
    return hides
  }
}

/** Each name that hides something contains one of these stems, in lower case. */
export function stemsOf(words: readonly string[]): string[] {
  return [...STEMS, ...words.flatMap(word => partsOf(word).slice(0, 1))]
}

/** `newPassword`, `new_password` and `new.password` are `new` and `password`. */
function partsOf(name: string): string[] {
  return name
    .replaceAll(/([a-z\d])([A-Z])/g, '$1-$2')
    .replaceAll(/([A-Z])([A-Z][a-z])/g, '$1-$2')
    .replaceAll(/([a-zA-Z])(\d)/g, '$1-$2')
    .toLowerCase()
    .split(/[^\p{L}\d]+/u)
    .filter(part => part !== '')
}

/** Words that are secret on their own: `pass`, but not `compass`. */
export const WHOLE = ['pass', 'passcode', 'creds', 'otp', 'cvv', 'cvc'] as const
/** Words that make a key a secret, as in `apiKey`. */
export const KEYS = ['api', 'access', 'auth', 'private', 'secret', 'signing', 'encryption', 'ssh', 'master'] as const
/** Words that are secret even at the end of a compound word. */
const ENDINGS = ['password', 'passwd', 'pwd', 'secret', 'token', 'cookie', 'credential', 'jwt', 'bearer']
const ANYWHERE = 'passw(?:or)?d|passphrase|pass-phrase|authori[sz]ation'
const LISTED = `(?:${ENDINGS.join('|')}|(?:${KEYS.join('|')})-?key|-(?:${WHOLE.join('|')}))`
const NAME = new RegExp(`${LISTED}s?-|${ANYWHERE}`)
/** A name that ends with a secret word. */
const NUMBER = new RegExp(`(?:${LISTED}|${ANYWHERE})(?:-\\d+)*-$`)
const STEMS = 'pass pwd secret token cookie cred jwt bearer authori otp cvv cvc key'.split(' ')

const MOST_NAMES = 5_000
export const LONGEST_NAME = 100
