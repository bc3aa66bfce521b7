import { spawnSync } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync, statfsSync, writeFileSync } from 'node:fs'
import { freemem, tmpdir } from 'node:os'
import { join } from 'node:path'

/**
 * Creates the directory for all files of a run, which the user `nobody` can enter. It is in memory if there is room:
 * databases that come and go keep a file system on disk busier than the tests keep the processors.
 */
export function createTemporary(): string {
  const parents = hasRoom(MEMORY) ? [MEMORY, tmpdir()] : [tmpdir()]
  for (const parent of parents) {
    const directory = mkdtempSync(join(parent, 'kretes-test-'))
    chmodSync(directory, 0o755)
    // A container may forbid to run programs from there.
    if (parent !== MEMORY || mayRun(directory)) return directory
    rmSync(directory, { recursive: true })
  }
  throw new Error('Cannot create a directory for the run')
}

const MEMORY = '/dev/shm'
const ROOM_BYTES = 6 * 1_024 ** 3

function hasRoom(path: string): boolean {
  try {
    const { bavail, bsize } = statfsSync(path)
    return Math.min(bavail * bsize, freemem()) > ROOM_BYTES
  } catch {
    return false
  }
}

function mayRun(directory: string): boolean {
  const probe = join(directory, 'probe')
  writeFileSync(probe, '#!/bin/sh\n', { mode: 0o755 })
  return spawnSync(probe).status === 0
}
