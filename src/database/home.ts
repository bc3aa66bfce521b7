import { homedir } from 'node:os'
import process from 'node:process'

/**
 * Loads what asks for the home directory when it is loaded. The engine does, and the user of a container may have none:
 * neither `HOME` nor an entry among the system's users.
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
