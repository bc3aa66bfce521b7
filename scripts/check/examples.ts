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

/** Compiles examples, each as if it were a file of its own in a directory. */
export function compileExamples(cwd: string, examples: Example[]): string[] {
  const config = ts.readConfigFile(join(cwd, 'tsconfig.json'), ts.sys.readFile)
  const { options } = ts.parseJsonConfigFileContent(config.config, ts.sys, cwd)
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

  const program = ts.createProgram(
    [...files.keys()],
    { ...options, moduleDetection: ts.ModuleDetectionKind.Force },
    host
  )
  return [...files].flatMap(([path, example]) => {
    const source = program.getSourceFile(path)
    const diagnostics = [...program.getSyntacticDiagnostics(source), ...program.getSemanticDiagnostics(source)]
    return diagnostics.map(({ messageText, start = 0 }) => {
      const line = example.line + (source?.getLineAndCharacterOfPosition(start).line ?? 0)
      return `${example.path}:${line} ${ts.flattenDiagnosticMessageText(messageText, '\n')}`
    })
  })
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
