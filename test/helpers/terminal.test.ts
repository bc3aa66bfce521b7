import { assert, suite } from './suite.ts'
import { KEYS, openTerminal } from './terminal.ts'

const test = suite('openTerminal()')

test('gives a program a terminal of a size, which it may change', async () => {
  const terminal = openTerminal('sh', ['-c', 'tty; stty size; read line; stty size'], { columns: 50, rows: 20 })
  await terminal.see(/^\/dev\/\S+\n20 50$/)
  terminal.resize(40, 10)
  terminal.type(KEYS.enter)
  assert.equal(await terminal.exit, { code: 0, signal: 0 })
  assert.is(terminal.lines.at(-1), '10 40')
})

test('shows what a person sees, not what was written', async () => {
  const terminal = openTerminal('printf', ['one\\rtwo\\n12345678901\\033[?25l\\033[31mred'], { columns: 10 })
  await terminal.exit
  assert.equal(terminal.lines, ['two', '1234567890', '1red'])
  assert.equal([terminal.isWrapped, terminal.isCursorShown, terminal.isSecondScreen], [true, false, false])
})

test('Ctrl-C signals what runs in it, and Ctrl-D ends its input', async () => {
  const interrupted = openTerminal('sh', ['-c', 'echo Ready; exec cat'])
  await interrupted.see(/Ready/)
  interrupted.type(KEYS.ctrlC)
  assert.equal(await interrupted.exit, { code: 0, signal: 2 })
  const ended = openTerminal('sh', ['-c', 'echo Ready; cat; exit 3'])
  await ended.see(/Ready/)
  ended.type(KEYS.ctrlD)
  assert.equal(await ended.exit, { code: 3, signal: 0 })
})

test('a program that ends without what is awaited fails the wait with what it showed', async () => {
  const terminal = openTerminal('echo', ['Hello'])
  const error = await terminal.see(/World/).catch(String)
  assert.is(error, 'Error: Cannot see /World/: the program has ended; the terminal shows:\nHello')
})
