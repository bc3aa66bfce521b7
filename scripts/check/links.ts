import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join, normalize } from 'node:path'

/** The pages for users: README and every guide. A new guide is found by its place. */
export function findGuides(cwd: string): string[] {
  return ['README.md', ...globSync('docs/**/*.md', { cwd }).sort()]
}

/** Checks that relative links lead to a file and a heading, and that README leads to every guide in few enough lines. */
export function checkLinks(cwd: string): string[] {
  const pages = [...findGuides(cwd), 'CHANGELOG.md', 'CONTRIBUTING.md', 'test/bench/README.md']
  const texts = new Map(pages.map(path => [path, readFileSync(join(cwd, path), 'utf8')]))
  const problems = [...texts].flatMap(([path, text]) =>
    brokenLinks(path, text, target => texts.get(target) ?? existsSync(join(cwd, target)))
  )
  const readme = texts.get('README.md') ?? ''
  const linked = new Set(linksIn(readme).map(({ target }) => normalize(target.replace(/#.*/, ''))))
  for (const path of findGuides(cwd).slice(1)) {
    if (!linked.has(path)) problems.push(`README.md has no link to ${path}`)
  }
  const lines = readme.split('\n').length - 1
  if (lines > MOST_README_LINES) problems.push(`README.md has ${lines} lines, more than ${MOST_README_LINES}`)
  return problems
}

/**
 * The relative links of a page that lead nowhere.
 *
 * @param find the text of a page by its path from the root, or whether there is such a file
 */
export function brokenLinks(path: string, text: string, find: (path: string) => string | boolean): string[] {
  return linksIn(text).flatMap(({ target, line }) => {
    if (/^[a-z]+:/.test(target)) return []
    const [file = '', anchor] = target.split('#')
    const place = file === '' ? path : normalize(join(dirname(path), file))
    const found = file === '' ? text : find(place)
    if (found === false) return [`${path}:${line} links to ${place}, which does not exist`]
    if (anchor === undefined || found === true || anchorsIn(found).has(anchor)) return []
    return [`${path}:${line} links to #${anchor}, and ${place} has no such heading`]
  })
}

function linksIn(text: string): { target: string; line: number }[] {
  return proseOf(text).flatMap((line, index) =>
    [...line.matchAll(/\]\(([^()\s]+)\)/g)].map(([, target = '']) => ({ target, line: index + 1 }))
  )
}

/** The anchors that GitHub gives to headings. */
function anchorsIn(text: string): Set<string> {
  const anchors = new Set<string>()
  for (const line of fencesEmptied(text)) {
    const heading = /^#{1,6} (.+)$/.exec(line)?.[1]
    if (heading === undefined) continue
    const words = heading.replaceAll(/\[([^\]]*)\]\([^)]*\)/g, '$1').toLowerCase()
    const slug = words.replaceAll(/[^\p{L}\p{N}\s_-]/gu, '').replaceAll(' ', '-')
    let anchor = slug
    for (let count = 1; anchors.has(anchor); count++) anchor = `${slug}-${count}`
    anchors.add(anchor)
  }
  return anchors
}

/** The lines of a page without code. */
function proseOf(text: string): string[] {
  return fencesEmptied(text).map(line => line.replaceAll(/`[^`]*`/g, ''))
}

function fencesEmptied(text: string): string[] {
  let isCode = false
  return text.split('\n').map(line => {
    const isFence = line.trimStart().startsWith('```')
    if (isFence) isCode = !isCode
    return isFence || isCode ? '' : line
  })
}

const MOST_README_LINES = 250
