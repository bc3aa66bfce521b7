import { readdir, readFile } from 'node:fs/promises'

/**
 * Kills processes that a test file left behind: those that carry its mark in their environment, wherever they hang in
 * the tree. Only Linux shows the environment of others; elsewhere nothing is found.
 *
 * @returns the command lines of what it killed
 */
export async function killLeftovers(mark: string): Promise<string[]> {
  const pids = (await readdir('/proc').catch(() => [])).filter(name => /^\d+$/.test(name))
  const found = await Promise.all(pids.map(pid => kill(pid, mark)))
  return found.filter(command => command !== undefined)
}

async function kill(pid: string, mark: string): Promise<string | undefined> {
  const environment = await readFile(`/proc/${pid}/environ`, 'utf8').catch(() => '')
  if (!environment.split('\0').includes(`KRETES_TEST_MARK=${mark}`)) return undefined
  const command = (await readFile(`/proc/${pid}/cmdline`, 'utf8').catch(() => '')).replaceAll('\0', ' ').trim()
  try {
    process.kill(Number(pid), 'SIGKILL')
  } catch {
    return undefined
  }
  return command || undefined
}
