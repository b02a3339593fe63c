/** The Xrays of a machine: the one that is run, and those kept in a folder, as `xray-<version>/xray`. */
import { copyFile, mkdir, readdir, rm, stat } from 'node:fs/promises'
import { dirname, join } from 'node:path'
import { FleetError } from '#src/errors.ts'
import { type Download, downloadFailure } from './download.ts'
import { installAtomically, makeFromRelease, unfinished } from './install.ts'
import { isProgram, xrayVersion } from './program.ts'

/** So many are kept: the one that runs, the one before, and one more. Each takes some 35 MB. */
const keptVersions = 3

export interface XrayPrograms {
  /** What is run from the next start on. */
  current(): string
  use(binary: string): void
  /** Where a version lies, or would. */
  pathOf(version: string): string
  /** Versions that are kept, the newest first. */
  kept(): Promise<string[]>
  /** Fetches the official release of a version, unless it is kept already. @throws FleetError DOWNLOAD_FAILED */
  fetch(version: string): Promise<void>
  /** Keeps a copy of the present program, which may lie elsewhere, under its version. */
  keepCurrent(version: string): Promise<void>
  /** No longer keeps a version, as one that does not run here. */
  remove(version: string): Promise<void>
  /** Removes what is kept beyond the latest three; these versions stay. */
  prune(needed: readonly string[]): Promise<void>
  /** Removes what a kill has left. */
  tidy(): Promise<void>
}

/** Where a version is kept in a folder. */
export function programPath(folder: string, version: string): string {
  return join(folder, `xray-${version}`, 'xray')
}

export function createPrograms(options: {
  binary: string
  folder: string
  download: Download
}): XrayPrograms {
  const { folder, download } = options
  let current = options.binary
  const pathOf = (version: string): string => programPath(folder, version)

  const homeOf = (version: string): string => dirname(pathOf(version))

  async function folders(): Promise<string[]> {
    const names = await readdir(folder).catch(() => [])
    return names.flatMap((name) => /^xray-(\d+\.\d+\.\d+)$/.exec(name)?.[1] ?? [])
  }

  async function kept(): Promise<string[]> {
    const all = await Promise.all(
      (await folders()).map(async (version) => ({ version, there: await isProgram(pathOf(version)) })),
    )
    return all.flatMap(({ version, there }) => (there ? [version] : [])).toSorted(newestFirst)
  }

  async function install(version: string, make: (folder: string) => Promise<string>): Promise<void> {
    // One that lies there damaged is no reason not to fetch it.
    if ((await xrayVersion(pathOf(version)).catch(() => null)) === version) return
    await mkdir(homeOf(version), { recursive: true, mode: 0o755 })
    try {
      await installAtomically(pathOf(version), version, make)
    } finally {
      await tidyOne(version)
    }
  }

  /** A folder without a program is one where something went wrong. */
  async function tidyOne(version: string): Promise<void> {
    const home = homeOf(version)
    if (!(await isProgram(pathOf(version)))) return rm(home, { recursive: true, force: true })
    const left = (await readdir(home)).filter((name) => name.startsWith(unfinished))
    await Promise.all(left.map((name) => rm(join(home, name), { recursive: true, force: true })))
  }

  return {
    current: () => current,
    use(binary) {
      current = binary
    },
    pathOf,
    kept,

    async fetch(version) {
      try {
        await install(version, (made) => makeFromRelease(made, version, download))
      } catch (error) {
        const isNone = error instanceof FleetError && error.code === 'XRAY_NOT_FOUND'
        const reason = isNone
          ? new Error('what is in the archive does not run here', { cause: error })
          : error
        throw downloadFailure(`Xray ${version}`, reason)
      }
    },

    remove: (version) => rm(homeOf(version), { recursive: true, force: true }),

    keepCurrent: (version) =>
      install(version, async (made) => {
        const copy = join(made, 'xray')
        await copyFile(current, copy)
        return copy
      }),

    async prune(needed) {
      const installed = await Promise.all(
        (await kept()).map(async (version) => ({ version, at: (await stat(pathOf(version))).mtimeMs })),
      )
      const spare = installed
        .toSorted((a, b) => b.at - a.at)
        .filter(({ version }) => !needed.includes(version))
        .slice(Math.max(0, keptVersions - needed.length))
      await Promise.all(spare.map(({ version }) => rm(homeOf(version), { recursive: true })))
    },

    async tidy() {
      for (const version of await folders()) await tidyOne(version)
    },
  }
}

function newestFirst(a: string, b: string): number {
  const [one, other] = [a, b].map((version) => version.split('.').map(Number))
  const differing = one?.findIndex((part, index) => part !== other?.[index]) ?? -1
  return differing === -1 ? 0 : Number(other?.[differing]) - Number(one?.[differing])
}
