import { chmod, mkdir, symlink } from 'node:fs/promises'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { ensureBuild } from '../helpers/build.ts'
import { type Child, type Exit, start } from '../helpers/process.ts'
import { createProject } from '../worker/project.ts'

const repository = fileURLToPath(new URL('../..', import.meta.url))
const bin = join(repository, 'dist/cli.js')

const failure = await ensureBuild()
if (failure !== undefined) throw new Error(`Cannot test the command line: the build fails\n${failure}`)

/** The command line in a project. */
export interface Program {
  readonly directory: string
  /** Starts `kretes` with these arguments and leaves it running. */
  start(args: readonly string[], env?: Record<string, string>): Child
  /** Runs `kretes` with these arguments to its end. */
  run(args: readonly string[], env?: Record<string, string>): Promise<Exit>
  /** Runs a line of shell, in which `kretes` is the program. */
  shell(line: string, env?: Record<string, string>): Promise<Exit>
}

/** A project with these files that has kretes, as built here, installed. */
export async function createProgram(files: Record<string, string>, env: Record<string, string> = {}): Promise<Program> {
  const directory = await createProject({ 'package.json': '{ "type": "module" }', ...files })
  // As root, the database's user has to get at it; else the data goes elsewhere.
  await chmod(directory, 0o755)
  const bins = join(directory, 'node_modules/.bin')
  await mkdir(bins, { recursive: true })
  await symlink(repository, join(directory, 'node_modules/kretes'), 'dir')
  for (const name of ['kretes', 'ks']) await symlink(bin, join(bins, name))
  const launch = (command: string, args: readonly string[], own: Record<string, string> = {}): Child => {
    const given = { NO_COLOR: undefined, FORCE_COLOR: undefined, ...env, ...own }
    const child = start(command, args, { cwd: directory, env: given })
    const exit = child.exit.then(calmed)
    exit.catch(() => {})
    // The other properties are getters.
    return Object.create(child, { exit: { value: exit } })
  }
  const startIn = (args: readonly string[], own?: Record<string, string>): Child =>
    launch(process.execPath, [join(bins, 'kretes'), ...args], own)
  const path = `${bins}:${process.env.PATH}`
  return {
    directory,
    start: startIn,
    run: (args, own) => startIn(args, own).exit,
    shell: (line, own) => launch('sh', ['-c', line], { PATH: path, ...own }).exit
  }
}

/** Leaves out what the program says where the database takes its time, as it may on a busy machine. */
function calmed(exit: Exit): Exit {
  const [stdout, stderr] = [exit.stdout, exit.stderr].map(text =>
    text.replace(/^.*Waiting for the database .*\n/gm, '')
  )
  return { ...exit, stdout, stderr } as Exit
}

/** Where nothing listens. */
export const NOBODY = 'postgres://someone:secret@127.0.0.1:1/nothing'

/** Tasks for the tests. */
export const TASKS = {
  'tasks/Greet.ts': `
    export default async function Greet({ name }, { logger }) { logger.info(\`Hello, \${name}\`, { name }) }`,
  'tasks/Fail.ts': `
    export default async function Fail() { throw new RangeError('It broke', { cause: new Error('of old age') }) }`,
  'tasks/Wait.ts': `
    import { existsSync, watch } from 'node:fs'
    export default async function Wait({ file, isStubborn }, { signal }) {
      const watcher = watch('.', { persistent: true })
      if (!existsSync(file)) await new Promise((resolve, reject) => {
        watcher.on('change', () => existsSync(file) && resolve())
        if (!isStubborn) signal.addEventListener('abort', () => reject(signal.reason))
      })
      watcher.close()
    }`,
  'tasks/Escape.ts': `
    export default async function Escape() { setImmediate(() => { throw new Error('A stray one') }) }`,
  'astray/Astray.ts': `
    import { existsSync } from 'node:fs'
    const waiting = setInterval(() => {
      if (!existsSync('go-astray')) return
      clearInterval(waiting)
      throw new Error('A stray one')
    }, 20)
    export default async function Astray() {}`,
  'tasks/mail/SendEmail.ts': 'export default async function SendEmail() {}'
}
