import { chmod, mkdtemp, open, rename, rm, writeFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { syncFolder } from '../atomic-file.ts'
import type { Download } from './download.ts'
import { xrayVersion } from './program.ts'
import { downloadRelease } from './release.ts'

/** Begins the name of a folder in which a program is being made. */
export const unfinished = 'new-'

/**
 * Lets `make` put a program into a folder of its own, checks that it is this version of Xray, and only then moves it to
 * `target` in one step. The folder of `target` must be there.
 */
export async function installAtomically(
  target: string,
  version: string,
  make: (folder: string) => Promise<string>,
): Promise<void> {
  const home = dirname(target)
  // Beside the target, since a move is one step only within a file system.
  const folder = await mkdtemp(join(home, unfinished))
  try {
    const made = await make(folder)
    await chmod(made, 0o755)
    const found = await xrayVersion(made)
    if (found !== version) throw new Error(`it is version ${found}, not ${version}`)
    await flush(made)
    await rename(made, target)
    await syncFolder(home)
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

/** Puts a file on the disk: one that is renamed before may be empty after a power cut. */
async function flush(path: string): Promise<void> {
  const file = await open(path)
  try {
    await file.sync()
  } finally {
    await file.close()
  }
}

/** The program of an official release, put into a folder. */
export async function makeFromRelease(folder: string, version: string, download: Download): Promise<string> {
  const path = join(folder, 'xray')
  await writeFile(path, await downloadRelease(version, download), { flag: 'wx', mode: 0o755 })
  return path
}
