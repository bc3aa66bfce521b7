import { homedir } from 'node:os'
import process from 'node:process'

/**
 * Loads a module that reads the home directory while it loads, as the engine does. The user of a container may have no
 * home directory: neither `HOME` nor an entry in the system's list of users.
 */
export async function loadWithHome<Module>(load: () => Promise<Module>): Promise<Module> {
  if (hasHome()) return await load()
  process.env.HOME = '/'
  try {
    return await load()
  } finally {
    delete process.env.HOME
  }
}

function hasHome(): boolean {
  try {
    homedir()
    return true
  } catch {
    return false
  }
}
