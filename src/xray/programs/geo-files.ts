/**
 * The lists behind `geoip:` and `geosite:` in Xray's configuration: where new ones come from, and how they take the
 * place of the present ones. Xray reads them at its start only.
 */
import { createHash } from 'node:crypto'
import { copyFile, mkdir, mkdtemp, readFile, readdir, rename, rm, symlink, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { FleetError } from '#src/errors.ts'
import { syncFolder } from '../atomic-file.ts'
import { type Download, downloadFailure, reasonOf } from './download.ts'
import { geoCodes, geoProbe } from './geo-codes.ts'

export const geoFileNames = ['geoip.dat', 'geosite.dat'] as const
export type GeoFileName = (typeof geoFileNames)[number]

/** Both lists in one place, made anew every day from public sources, each with its SHA-256 beside it. */
const source = 'https://github.com/Loyalsoldier/v2ray-rules-dat/releases/latest/download'
/** Begins the name of what is not finished; the folder may hold what is not ours. */
const unfinished = 'fleetgram-new-'

export interface GeoFile {
  name: GeoFileName
  status: 'updated' | 'unchanged'
  /** Bytes. */
  size: number
  sha256: string
}

/** Files that have been fetched and were found good. */
export interface GeoUpdate {
  files: GeoFile[]
  /** Puts the new ones in place, each in one step; the ones before stay beside them as `*.old`. */
  swapIn(): Promise<void>
  /** Removes what was fetched and not put in place. */
  discard(): Promise<void>
}

export interface GeoDeps {
  folder: string
  download: Download
  /** Lets Xray read a configuration with the geo files of a folder. @throws FleetError XRAY_REFUSED */
  test: (config: object, folder: string) => Promise<void>
  /** The configuration they are for. */
  config: object
}

/**
 * Fetches those of the files that are not the published ones already, and has Xray load them: whole, and with its
 * configuration. The ones in use are not touched yet.
 * @throws FleetError DOWNLOAD_FAILED, GEO_FILES_REFUSED
 */
export async function fetchGeoFiles(deps: GeoDeps): Promise<GeoUpdate> {
  const { folder, download } = deps
  const made = await newFolder(folder)
  const discard = (): Promise<void> => rm(made, { recursive: true, force: true })
  try {
    const files = await Promise.all(geoFileNames.map((name) => fetchOne(name, folder, made, download)))
    const updated = files.filter(({ status }) => status === 'updated').map(({ name }) => name)
    if (updated.length > 0) await tryOut(made, deps)
    return {
      files,
      discard,
      async swapIn() {
        for (const name of updated) await swap(folder, made, name)
        await syncFolder(folder)
      },
    }
  } catch (error) {
    await discard()
    throw error
  }
}

/** The checksum of a file that is there; null where there is none. */
export async function geoFileHash(folder: string, name: GeoFileName): Promise<string | null> {
  const content = await readFile(join(folder, name)).catch(() => null)
  return content === null ? null : sha256(content)
}

/** Which of the files a configuration needs. */
export function geoFilesIn(config: object): GeoFileName[] {
  const text = JSON.stringify(config)
  return geoFileNames.filter((name) => {
    const list = name.replace('.dat', '')
    return new RegExp(`"!?(?:${list}|ext(?:-[a-z]+)?:${list}\\.dat):`, 'i').test(text)
  })
}

/** Removes what a kill has left. */
export async function tidyGeoFiles(folder: string): Promise<void> {
  const names = await readdir(folder).catch(() => [])
  const left = names.filter((name) => name.startsWith(unfinished))
  await Promise.all(left.map((name) => rm(join(folder, name), { recursive: true, force: true })))
}

async function newFolder(folder: string): Promise<string> {
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 })
    // Within, since a move is one step only on one file system.
    return await mkdtemp(join(folder, unfinished))
  } catch (error) {
    throw refused(`their folder cannot be written to (${reasonOf(error)})`, error)
  }
}

async function fetchOne(
  name: GeoFileName,
  folder: string,
  made: string,
  download: Download,
): Promise<GeoFile> {
  try {
    return await fetchPublished(name, folder, made, download)
  } catch {
    // A release may have come out between the checksum and the file; the second time they belong together.
    return fetchPublished(name, folder, made, download).catch((error: unknown) => {
      throw downloadFailure(name, error)
    })
  }
}

async function fetchPublished(
  name: GeoFileName,
  folder: string,
  made: string,
  download: Download,
): Promise<GeoFile> {
  const url = `${source}/${name}`
  const published = /^([0-9a-f]{64})\b/i.exec((await download(`${url}.sha256sum`)).toString('utf8').trim())
  const expected = published?.[1]?.toLowerCase()
  if (expected === undefined) throw new Error('no SHA-256 is published with it')
  const present = await readFile(join(folder, name)).catch(() => null)
  if (present !== null && sha256(present) === expected) {
    // Beside the other, which may be new, for Xray to load both.
    await symlink(join(folder, name), join(made, name))
    return { name, status: 'unchanged', size: present.length, sha256: expected }
  }
  const content = await download(url)
  if (sha256(content) !== expected) throw new Error('it does not have the published SHA-256')
  await writeFile(join(made, name), content, { mode: 0o600, flush: true })
  return { name, status: 'updated', size: content.length, sha256: expected }
}

async function tryOut(made: string, { test, config }: GeoDeps): Promise<void> {
  try {
    const [geoip = [], geosite = []] = await Promise.all(
      geoFileNames.map(async (name) => endsOf(geoCodes(await readFile(join(made, name))))),
    )
    await test(geoProbe({ geoip, geosite }), made)
    await test(config, made)
  } catch (error) {
    if (error instanceof FleetError && error.code === 'XRAY_REFUSED') {
      throw refused(String(error.details['reason']), error)
    }
    if (error instanceof FleetError) throw error
    throw refused(reasonOf(error), error)
  }
}

/** Loading the last list of a file, Xray has to get past all the others. */
function endsOf(codes: string[]): string[] {
  return [...new Set([codes[0], codes.at(-1)])].filter((code) => code !== undefined)
}

/** In this order a kill leaves the old file or the new one, and never none. */
async function swap(folder: string, made: string, name: GeoFileName): Promise<void> {
  const old = join(made, `${name}.old`)
  const isFirst = await copyFile(join(folder, name), old).then(
    () => false,
    (error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOENT') throw error
      return true
    },
  )
  if (!isFirst) await rename(old, join(folder, `${name}.old`))
  await rename(join(made, name), join(folder, name))
}

function refused(reason: string, cause: unknown): FleetError {
  return new FleetError('GEO_FILES_REFUSED', { reason }, { cause })
}

function sha256(content: Buffer): string {
  return createHash('sha256').update(content).digest('hex')
}
