import { describeFault, findJsonFault } from '../../cli/input/json-fault.ts'
import { assert, suite } from '../helpers/suite.ts'

const test = suite('faults in JSON')

const VALID = [
  '{}',
  ' [ ] ',
  '"a\\u00e9\\n\u007f é"',
  '-0.5e+10',
  '[1,{"a":[true,false,null]},"x"]',
  '{"a":{"b":{}}}\n'
]

const FAULTY: [text: string, at: number, expected: string][] = [
  ['', 0, 'a value'],
  ['{', 1, 'a name in double quotes'],
  ["{'a':1}", 1, 'a name in double quotes'],
  ['{"a" 1}', 5, '":"'],
  ['{"a":}', 5, 'a value'],
  ['{"a":1,}', 7, 'a name in double quotes'],
  ['{"a":1 "b":2}', 7, '"," or "}"'],
  ['[1 2]', 3, '"," or "]"'],
  ['[1,]', 3, 'a value'],
  ['{"a":tru}', 5, 'a value'],
  ['{"a":01}', 5, 'a value'],
  ['{"a":1.}', 5, 'a value'],
  ['{"a":undefined}', 5, 'a value'],
  ['{"a":"b}', 5, 'a string that ends with a double quote and holds no line break'],
  ['{"a":"b\nc"}', 5, 'a string that ends with a double quote and holds no line break'],
  ['{"a":"\\x"}', 5, 'a string that ends with a double quote and holds no line break'],
  ['{} {}', 3, 'the end'],
  ['\u00a0{}', 0, 'a value']
]

for (const text of VALID) {
  test(`finds none in ${JSON.stringify(text)}`, () => {
    JSON.parse(text)
    assert.is(findJsonFault(text), undefined)
  })
}

for (const [text, at, expected] of FAULTY) {
  test(`finds the first in ${JSON.stringify(text)}`, () => {
    assert.throws(() => JSON.parse(text))
    assert.equal(findJsonFault(text), { at, expected })
  })
}

test('agrees with the engine on texts with one character changed', () => {
  const text = '{"a":[1,-2.5e3,"\\u00ff b",{"c":null}],"d":true}'
  for (let index = 0; index < text.length; index++) {
    for (const character of ['', '"', ',', '}', ']', '0', 'x', ' ', '\\', '-', ':']) {
      const changed = text.slice(0, index) + character + text.slice(index + 1)
      assert.is(findJsonFault(changed) === undefined, isJson(changed), changed)
    }
  }
})

test('says nothing of what is nested too deeply to tell', () => {
  assert.is(findJsonFault('['.repeat(100_000)), undefined)
})

test('shows the place in one line', () => {
  const text = '{"a":1,\n  b: "a text that goes on for a while" }'
  assert.is(
    describeFault(text, findJsonFault(text)!),
    'at character 11, expected a name in double quotes, found b: "a text that goes…'
  )
})

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}
