import { globSync, readFileSync } from 'node:fs'
import ts from 'typescript'

/** A rule of the house that no other tool knows. Given a file's path and text, it names each place that breaks it. */
export function problemsOf(path: string, text: string): string[] {
  const source = ts.createSourceFile(path, text, ts.ScriptTarget.Latest, true)
  const problems: string[] = []
  const report = (node: ts.Node, message: string): void => {
    const { line } = source.getLineAndCharacterOfPosition(node.getStart(source))
    problems.push(`${path}:${line + 1} ${message}`)
  }

  const lines = text.split('\n').length - 1
  if (lines > MOST_LINES) problems.push(`${path} has ${lines} lines, more than ${MOST_LINES}`)
  for (const [index, line] of text.split('\n').entries()) {
    const word = line.match(FORBIDDEN_WORD)?.[0]
    if (word) problems.push(`${path}:${index + 1} ${word} does not belong in a commit`)
    const engineWord = MAY_KNOW_ENGINE.test(path) ? undefined : line.match(ENGINE_WORD)?.[0]
    if (engineWord) problems.push(`${path}:${index + 1} ${engineWord} is a word of the engine room, src/worker/engine`)
  }

  const visit = (node: ts.Node): void => {
    if (!path.startsWith('src/sql/') && isSql(node)) report(node, 'SQL stands only in src/sql')
    if (ts.isPropertyAccessExpression(node)) {
      const name = `${node.expression.getText(source)}.${node.name.text}`
      if (/^process\.exit(Code)?$/.test(name) && !MAY_EXIT.has(path)) report(node, `${name} stands only in cli/main.ts`)
      if (/^console\./.test(name) && path.startsWith('src/')) report(node, 'a library does not write to the console')
    }
    ts.forEachChild(node, visit)
  }
  visit(source)
  return problems
}

/** Holds all shipped code, and the examples, to {@linkcode problemsOf}. */
export function checkText(cwd: string): string[] {
  return globSync(['mod.ts', 'src/**/*.ts', 'cli/**/*.ts', 'tasks/**/*.ts'], { cwd })
    .sort()
    .flatMap(path => problemsOf(path, readFileSync(`${cwd}/${path}`, 'utf8')))
}

const MOST_LINES = 300

const MAY_EXIT = new Set(['cli/main.ts', 'cli/bin.ts', 'src/worker/engine/exit-code.ts'])

const FORBIDDEN_WORD = /\b(TODO|FIXME|XXX|@ts-ignore|@ts-nocheck)\b/

const MAY_KNOW_ENGINE = /^src\/(sql\/|worker\/engine\/|database\/migrate\.ts$)/

/** Tables, channels, statements and events of graphile-worker's. */
const ENGINE_WORD =
  /\b_private_|\b(jobs:insert|worker:migrate)\b|\b(get_job|complete_job|fail_job|return_job|clear_stale_locks)|'(localQueue|pool|worker|job):\w/

/** A tagged template that reads as a statement, or such a text handed to a driver's method. */
function isSql(node: ts.Node): boolean {
  if (ts.isTaggedTemplateExpression(node)) return STATEMENT.test(textOf(node.template))
  if (!ts.isCallExpression(node) || !ts.isPropertyAccessExpression(node.expression)) return false
  const [first] = node.arguments
  return first !== undefined && DRIVER_METHOD.test(node.expression.name.text) && STATEMENT.test(textOf(first))
}

function textOf(node: ts.Node): string {
  if (ts.isStringLiteralLike(node)) return node.text
  return ts.isTemplateExpression(node) ? `${node.head.text}…` : ''
}

const DRIVER_METHOD = /^(unsafe|query|execute|file)$/

const STATEMENT =
  /^\s*(select|insert|update|delete|create|alter|drop|with|begin|commit|rollback|lock|listen|unlisten|notify|set|truncate|grant|call|do|savepoint)\b/i
