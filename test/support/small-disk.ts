import { execFile } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

const run = promisify(execFile)

/** A disk of its own, so small that a test can fill it. */
export interface SmallDisk {
  dir: string
  /** Takes all the room there is. */
  fill(): void
  /** Gives it back. */
  free(): void
  end(): Promise<void>
}

/** Mounts one, which takes root; undefined where that is not allowed. */
export async function mountSmallDisk(mebibytes: number): Promise<SmallDisk | undefined> {
  const dir = mkdtempSync(join(tmpdir(), 'disk-'))
  try {
    await run('mount', ['-t', 'tmpfs', '-o', `size=${mebibytes}m`, 'tmpfs', dir])
  } catch {
    rmSync(dir, { recursive: true })
    return undefined
  }
  const filler = join(dir, 'filler')
  return {
    dir,
    fill() {
      const file = openSync(filler, 'a')
      // Down to the last page: what is left after large pieces is taken by small ones.
      for (const size of [1024 * 1024, 4096]) {
        try {
          for (;;) writeSync(file, Buffer.alloc(size, 1))
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
        }
      }
      closeSync(file)
    },
    free: () => rmSync(filler, { force: true }),
    async end() {
      await run('umount', [dir])
      rmSync(dir, { recursive: true })
    },
  }
}
