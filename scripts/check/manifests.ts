import { readFileSync } from 'node:fs'

interface Package {
  version: string
  license: string
  exports: Record<string, string | { types: string; default: string }>
  dependencies?: Record<string, string>
  optionalDependencies?: Record<string, string>
}

interface Deno {
  version: string
  license: string
  exports: Record<string, string>
  imports: Record<string, string>
}

/** Where the manifests for npm and for JSR disagree. */
export function compareManifests(npm: Package, jsr: Deno): string[] {
  const problems: string[] = []
  for (const field of ['version', 'license'] as const) {
    if (npm[field] !== jsr[field]) problems.push(`${field}: package.json has ${npm[field]}, deno.json ${jsr[field]}`)
  }

  const entries = Object.keys(npm.exports).filter(entry => entry !== './package.json')
  compareKeys('exports', entries, Object.keys(jsr.exports))
  for (const [entry, source] of Object.entries(jsr.exports)) {
    const self = `kretes${entry.slice(1)}`
    if (jsr.imports[self] !== source) problems.push(`deno.json imports ${self} as ${jsr.imports[self]}, not ${source}`)
  }

  const ranges = { ...npm.dependencies, ...npm.optionalDependencies }
  const imports = Object.entries(jsr.imports).filter(([, target]) => target.startsWith('npm:'))
  compareKeys(
    'dependencies',
    Object.keys(ranges),
    imports.map(([name]) => name)
  )
  for (const [name, target] of imports) {
    const expected = `npm:${name}@${ranges[name]}`
    if (name in ranges && target !== expected) problems.push(`deno.json imports ${target}, package.json ${expected}`)
  }
  return problems

  function compareKeys(what: string, ofNpm: string[], ofJsr: string[]): void {
    for (const key of ofNpm) if (!ofJsr.includes(key)) problems.push(`${what}: ${key} is missing in deno.json`)
    for (const key of ofJsr) if (!ofNpm.includes(key)) problems.push(`${what}: ${key} is missing in package.json`)
  }
}

/** Compares the two manifests in a directory. */
export function checkManifests(cwd: string): string[] {
  const read = (name: string) => JSON.parse(readFileSync(`${cwd}/${name}`, 'utf8'))
  return compareManifests(read('package.json'), read('deno.json'))
}
