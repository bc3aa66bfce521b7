import { brokenLinks } from '../../scripts/check/links.ts'
import { assert, suite } from '../helpers/suite.ts'

const test = suite('brokenLinks()')
const pages: Readonly<Record<string, string | true>> = {
  'README.md': '# Top\n',
  'docs/queues.md': '# Queues\n\n## What is `Queue.for`?\n\n## Twice\n\n## Twice\n\n```sh\n## no heading\n```\n',
  LICENSE: true
}
const find = (path: string): string | boolean => pages[path] ?? false

for (const [sentence, text, expected] of [
  [
    'nothing in links that resolve',
    '[a](../README.md) [b](../LICENSE) [c](queues.md#twice-1) [d](#here)\n\n# Here\n',
    []
  ],
  ['no fault in the anchor of a heading with code', '[a](queues.md#what-is-queuefor)', []],
  ['nothing in links to other sites', '[a](https://example.com/nowhere)', []],
  ['no link in code', '`[a](b.md)`\n\n```md\n[a](b.md)\n```\n', []],
  ['a missing page', '\n[a](b.md)', ['docs/page.md:2 links to docs/b.md, which does not exist']],
  [
    'a missing heading',
    '[a](queues.md#no-heading)',
    ['docs/page.md:1 links to #no-heading, and docs/queues.md has no such heading']
  ],
  ['a missing heading of its own', '[a](#b)', ['docs/page.md:1 links to #b, and docs/page.md has no such heading']]
] as const) {
  test(`finds ${sentence}`, () => assert.equal(brokenLinks('docs/page.md', text, find), expected))
}
