import { join } from 'node:path'
import { fileURLToPath } from 'node:url'

const bin = fileURLToPath(new URL('../../node_modules/.bin', import.meta.url))

/** How each runtime starts a script; all come from the development dependencies. */
export const runtimes: Record<'node' | 'deno' | 'bun', [command: string, ...args: string[]]> = {
  node: [process.execPath],
  deno: [join(bin, 'deno'), 'run', '--quiet', '--no-prompt', '--allow-all'],
  bun: [join(bin, 'bun'), 'run']
}

/** The names of {@linkcode runtimes}. */
export type RuntimeName = keyof typeof runtimes

/** In the order of {@linkcode runtimes}. */
export const runtimeNames = Object.keys(runtimes) as RuntimeName[]
