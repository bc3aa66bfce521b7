import { appendFile } from 'node:fs/promises'
import { join } from 'node:path'

interface Greeting {
  name: string
  /** Where to leave the greeting. */
  directory: string
}

/** A task as a user's own: it leaves one line for each run. */
export default async function Greet({ name, directory }: Greeting): Promise<void> {
  await appendFile(join(directory, 'greetings.txt'), `Hello, ${name}\n`)
}
