import { existsSync, globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import ts from 'typescript'
import { findGuides } from './links.ts'

/** An example as a reader finds it. */
export interface Example {
  /** Where its first line stands. */
  path: string
  line: number
  text: string
}

/** The blocks of a language, TypeScript unless told otherwise, in a Markdown file or in the docstrings of a source. */
export function examplesIn(path: string, text: string, language = 'ts|typescript'): Example[] {
  const opening = new RegExp(`^\\s*\`\`\`(?:${language})\\b`)
  const examples: Example[] = []
  let current: Example | undefined
  for (const [index, raw] of text.split('\n').entries()) {
    const line = path.endsWith('.md') ? raw : raw.replace(/^\s*\*( |$)/, '')
    if (current && /^\s*```\s*$/.test(line)) {
      examples.push(current)
      current = undefined
    } else if (current) {
      current.text += `${line}\n`
    } else if (opening.test(line)) {
      current = { path, line: index + 2, text: '' }
    }
  }
  return examples
}

/**
 * Compiles examples, each as if it were a file of its own in a directory, with the `tsconfig.json` that the guide to
 * TypeScript recommends, and with the types of the package as built.
 */
export function compileExamples(cwd: string, examples: Example[]): string[] {
  const options = readRecommended(cwd)
  // The types of other packages bring those of Node.js with them, which would hide that the options do not.
  const [plain, others] = [examples.filter(isPlain), examples.filter(example => !isPlain(example))]
  return [...compile(cwd, options, plain), ...compile(cwd, options, others)]
}

/** Compiles every example that a reader may copy. */
export function checkExamples(cwd: string): string[] {
  const paths = ['mod.ts', ...globSync('src/**/*.ts', { cwd }).sort(), ...findGuides(cwd)]
  const present = paths.filter(path => existsSync(join(cwd, path)))
  return compileExamples(
    cwd,
    present.flatMap(path => examplesIn(path, readFileSync(join(cwd, path), 'utf8')))
  )
}

/** The options as the guide shows them, so that a reader's compiler accepts what ours accepts. */
function readRecommended(cwd: string): ts.CompilerOptions {
  const [example] = examplesIn(GUIDE, readFileSync(join(cwd, GUIDE), 'utf8'), 'json')
  if (!example) throw new Error(`Cannot compile examples: ${GUIDE} shows no tsconfig.json`)
  const { config, error } = ts.parseConfigFileTextToJson(GUIDE, example.text)
  const { options, errors } = ts.parseJsonConfigFileContent(config, ts.sys, cwd, OURS)
  const [problem] = error ? [error] : errors
  if (!problem) return { ...options, pathsBasePath: cwd }
  throw new Error(
    `Cannot read the tsconfig.json of ${GUIDE}: ${ts.flattenDiagnosticMessageText(problem.messageText, ' ')}`
  )
}

/** Whether an example needs nothing but kretes and Node.js. */
function isPlain({ text }: Example): boolean {
  return [...text.matchAll(/from '([^']+)'/g)].every(([, from = '']) => /^(npm:)?kretes\b|^node:/.test(from))
}

function compile(cwd: string, options: ts.CompilerOptions, examples: Example[]): string[] {
  const files = new Map(examples.map((example, index) => [join(cwd, `example-${index}.ts`), example]))
  const host = ts.createCompilerHost(options)
  const read = host.readFile
  const exists = host.fileExists
  host.readFile = path => files.get(path)?.text ?? read(path)
  host.fileExists = path => files.has(path) || exists(path)
  host.getSourceFile = (path, languageVersion) => {
    const text = host.readFile(path)
    return text === undefined ? undefined : ts.createSourceFile(path, text, languageVersion)
  }

  const program = ts.createProgram([...files.keys()], options, host)
  return [...files].flatMap(([path, example]) => {
    const source = program.getSourceFile(path)
    const diagnostics = [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)]
    return diagnostics.map(({ messageText, start = 0 }) => {
      const line = example.line + (source?.getLineAndCharacterOfPosition(start).line ?? 0)
      return `${example.path}:${line} ${ts.flattenDiagnosticMessageText(messageText, '\n')}`
    })
  })
}

const GUIDE = 'docs/typescript.md'

/** Only what no reader needs: each example is a module, and Deno's name of the package is one of this package. */
const OURS: ts.CompilerOptions = {
  moduleDetection: ts.ModuleDetectionKind.Force,
  paths: { 'npm:kretes': ['./dist/mod.d.ts'] }
}
