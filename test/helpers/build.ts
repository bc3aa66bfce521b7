import { globSync, statSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { run } from './process.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))

/**
 * Builds `dist` if a source is newer: tests of the command line and of the package run what a user gets.
 *
 * @returns what the build wrote, if it failed
 */
export async function ensureBuild(): Promise<string | undefined> {
  const sources = ['mod.ts', '{src,cli}/**/*.ts', 'package.json', 'tsup.config.ts', 'tsconfig.json']
  const outputs = ['mod.js', 'mod.d.ts', 'worker.js', 'worker.d.ts', 'cli.js'].map(name => `dist/${name}`)
  const newest = Math.max(...globSync(sources, { cwd: root }).map(changedAt))
  if (Math.min(...outputs.map(changedAt)) > newest) return undefined
  const { code, stdout, stderr } = await run('npm', ['run', '--silent', 'build'], { cwd: root })
  return code === 0 ? undefined : stdout + stderr
}

function changedAt(path: string): number {
  return statSync(`${root}/${path}`, { throwIfNoEntry: false })?.mtimeMs ?? 0
}
