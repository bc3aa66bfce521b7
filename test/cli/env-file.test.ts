import { mkdir, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { createDatabase } from '../helpers/database.ts'
import { start } from '../helpers/process.ts'
import { assert, suite } from '../helpers/suite.ts'
import { createProgram, NOBODY } from './program.ts'

const test = suite('the .env of a project')
const { url, name } = await createDatabase()

const TELL = `
  const { NOTE, LINES, EMPTY, OWN } = process.env
  export default async function Tell(_, { logger }) { logger.info(JSON.stringify({ NOTE, LINES, EMPTY, OWN })) }`

const ENV = `# the usual
export DATABASE_URL="${url}" # quoted
NOTE='a#b $HOME'
EMPTY=of-the-file
LINES="one
two"`

async function createEnv(text = ENV): ReturnType<typeof createProgram> {
  return await createProgram({ '.env': text, 'tasks/Tell.ts': TELL, 'deep/er/readme.md': '' })
}

test('names the database, and gives tasks what it says, as node --env-file does', async () => {
  const program = await createEnv()
  assert.is((await program.run(['bg', 'schedule', 'Tell'])).code, 0)
  const { code, stdout } = await program.run(['bg', '--once'], { EMPTY: '', OWN: 'mine' })
  assert.is(code, 0)
  assert.match(stdout, new RegExp(`database +\\S+/${name}\\s+\\(DATABASE_URL\\s+from\\s+\\.env\\)\n`))
  assert.match(stdout, JSON.stringify({ NOTE: 'a#b $HOME', LINES: 'one\ntwo', EMPTY: '', OWN: 'mine' }))
})

test('yields to the environment and to --database-url, and then is not named', async () => {
  const program = await createEnv(`DATABASE_URL=${NOBODY}`)
  await program.run(['bg', 'schedule', 'Tell'], { DATABASE_URL: url })
  const inPlace = await program.run(['bg', '--once'], { DATABASE_URL: url })
  assert.match(inPlace.stdout, new RegExp(`database +\\S+/${name}\n`))
  await program.run(['bg', 'schedule', 'Tell'], { DATABASE_URL: url })
  const given = await program.run(['bg', '--once', '--database-url', url])
  assert.match(given.stdout, new RegExp(`database +\\S+/${name}\n`))
  const status = await program.run(['bg', 'db', 'status'], { DATABASE_URL: '' })
  assert.match(status.stderr, 'there is no database in .kretes/ yet')
})

test('is that of the project, wherever in it one stands; a directory of that name is none', async () => {
  const program = await createEnv()
  const bin = join(program.directory, 'node_modules/.bin/kretes')
  const below = start(process.execPath, [bin, 'bg', 'db', 'url'], { cwd: join(program.directory, 'deep/er') })
  assert.is((await below.exit).stdout, `${url}\n`)
  const other = await createProgram({ 'tasks/Tell.ts': TELL })
  await mkdir(join(other.directory, '.env'))
  assert.equal((await other.run(['bg', 'tasks'])).stderr, '')
})

test('does not stand in the way of --help, and its mistakes are told as those of the environment', async () => {
  const program = await createEnv('DATABASE_URL=user:secret')
  const { code, stderr } = await program.run(['bg', 'jobs'])
  assert.match(stderr, /^Cannot use DATABASE_URL: its scheme is user, not postgres/)
  assert.is(code, 1)
  await writeFile(join(program.directory, '.env'), 'no such thing\n=\n')
  assert.is((await program.run(['bg', 'tasks'])).code, 0)
})
