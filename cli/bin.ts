#!/usr/bin/env node
// Runs on any Node, so that one that is too old gets a sentence instead of a syntax error. Keep it plain.
import process from 'node:process'

const NEEDED = [22, 18]
const [major = 0, minor = 0] = process.versions.node.split('.').map(Number)
const isTooOld = major < NEEDED[0]! || (major === NEEDED[0] && minor < NEEDED[1]!)

if (isTooOld && !('Deno' in globalThis) && !('Bun' in globalThis)) {
  process.stderr.write(
    `kretes needs Node.js ${NEEDED.join('.')} or newer: this is ${process.versions.node}. ` +
      'To add one to this project: npm install node@24. npx and npm scripts use it\n'
  )
  process.exit(1)
} else {
  const { main } = await import('./main.ts')
  await main(process.argv)
}
