import { defineConfig } from 'tsup'

export default defineConfig({
  entry: { mod: 'mod.ts', worker: 'src/worker/mod.ts', cli: 'cli/bin.ts' },
  format: 'esm',
  target: 'es2023',
  platform: 'node',
  // One copy of each class across the entry points, so that `instanceof` holds between them.
  splitting: true,
  dts: { entry: { mod: 'mod.ts', worker: 'src/worker/mod.ts' } },
  sourcemap: true,
  clean: true
})
