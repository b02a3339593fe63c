import { copyFile, link, readFile, rename, rm } from 'node:fs/promises'
import { writeFileAtomically } from '../atomic-file.ts'

/** Xray's configuration on disk and the one before it, which is known to have run. */
export interface ConfigFile {
  readonly path: string
  /** Swaps the new configuration in and keeps the old one. Nothing is written when it is the same. */
  write(json: object): Promise<void>
  /** Swaps another in without keeping the one in place, which has not run. */
  replace(json: object): Promise<void>
  /** What is there; null where nothing is, or nothing whole. */
  read(): Promise<object | null>
  /** Takes the last write back. False when there is nothing else to go back to. */
  restorePrevious(): Promise<boolean>
}

export function configFile(path: string, previousPath: string): ConfigFile {
  const textIn = (file: string): Promise<string> => readFile(file, 'utf8').catch(() => '')
  const textOf = (json: object): string => `${JSON.stringify(json, null, 2)}\n`

  return {
    path,

    async write(json) {
      const content = textOf(json)
      const current = await textIn(path)
      if (current === content) return
      // A torn one must never take a good one's place.
      if (parse(current) !== null) await writeFileAtomically(previousPath, current)
      await writeFileAtomically(path, content)
    },

    replace: (json) => writeFileAtomically(path, textOf(json)),

    read: async () => parse(await textIn(path)),

    async restorePrevious() {
      const [current, previous] = await Promise.all([textIn(path), textIn(previousPath)])
      if (previous === current || parse(previous) === null) return false
      await rm(`${path}.new`, { force: true })
      // A second name for it needs no room on a full disk; not every file system has them.
      await link(previousPath, `${path}.new`).catch(() => copyFile(previousPath, `${path}.new`))
      await rename(`${path}.new`, path)
      return true
    },
  }
}

/** What a file says; null unless it is one whole configuration. */
function parse(content: string): object | null {
  try {
    const json: unknown = JSON.parse(content)
    return typeof json === 'object' && !Array.isArray(json) ? json : null
  } catch {
    return null
  }
}
