import { copyFile, open, readFile, rename, rm } from 'node:fs/promises'
import { dirname } from 'node:path'

/**
 * Writes a file so that a reader, or a machine that comes back from a power cut, finds the old or the new content
 * whole, never a mixture. Readable by its owner alone: these files hold keys.
 */
export async function writeFileAtomically(path: string, content: string): Promise<void> {
  const temporary = `${path}.new`
  await rm(temporary, { force: true })
  const file = await open(temporary, 'wx', 0o600)
  try {
    await file.writeFile(content)
    await file.sync()
  } finally {
    await file.close()
  }
  await rename(temporary, path)
  await syncFolder(dirname(path))
}

/** Xray's configuration on disk and the one before it, which is known to have run. */
export interface ConfigFile {
  readonly path: string
  /** Swaps the new configuration in and keeps the old one. Nothing is written when it is the same. */
  write(json: object): Promise<void>
  /** What is there; null where nothing is, or nothing that can be read. */
  read(): Promise<object | null>
  /** Takes the last write back. False when there is nothing else to go back to. */
  restorePrevious(): Promise<boolean>
}

export function configFile(path: string, previousPath: string): ConfigFile {
  const read = (file: string): Promise<string | null> => readFile(file, 'utf8').catch(() => null)

  return {
    path,

    async write(json) {
      const content = `${JSON.stringify(json, null, 2)}\n`
      const current = await read(path)
      if (current === content) return
      if (current !== null) await writeFileAtomically(previousPath, current)
      await writeFileAtomically(path, content)
    },

    async read() {
      try {
        return JSON.parse((await read(path)) ?? 'null') as object | null
      } catch {
        return null
      }
    },

    async restorePrevious() {
      const [current, previous] = await Promise.all([read(path), read(previousPath)])
      if (previous === null || previous === current) return false
      await copyFile(previousPath, `${path}.new`)
      await rename(`${path}.new`, path)
      return true
    },
  }
}

/** Puts what was renamed within a folder on the disk: it is there only when the folder is. */
export async function syncFolder(path: string): Promise<void> {
  const folder = await open(path, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}
