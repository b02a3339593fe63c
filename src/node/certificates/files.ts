import { mkdir, readFile, readdir, rm } from 'node:fs/promises'
import { basename, join } from 'node:path'
import { certificateFiles, certificatesDir } from '#src/xray/config/certificate-files.ts'
import { writeFileAtomically } from '#src/xray/atomic-file.ts'

type Pair = { domain: string; chain: string; key: string }

/**
 * The certificates as files for Xray, which looks at them once an hour and gives up on one that is missing for a moment:
 * each is replaced at once. They follow the database and are never read back.
 */
export function createCertificateFiles(xrayDir: string) {
  const dir = certificatesDir(xrayDir)
  const fileOf = (domain: string): string => certificateFiles(xrayDir, domain).certificateFile

  async function write({ domain, chain, key }: Pair): Promise<void> {
    const content = `${chain}${key}`
    if ((await readIfThere(fileOf(domain))) === content) return
    await mkdir(dir, { recursive: true, mode: 0o700 })
    await writeFileAtomically(fileOf(domain), content)
  }

  return {
    write,

    remove: (domain: string): Promise<void> => rm(fileOf(domain), { force: true }),

    /** Removes the files of all other domains, and what a kill has left of a file half written. */
    async keepOnly(domains: readonly string[]): Promise<void> {
      const wanted = new Set(domains.map((domain) => basename(fileOf(domain))))
      const present = await readdir(dir).catch((error: NodeJS.ErrnoException) => {
        if (error.code === 'ENOENT') return []
        throw error
      })
      for (const name of present) if (!wanted.has(name)) await rm(join(dir, name), { force: true })
    },
  }
}

async function readIfThere(file: string): Promise<string | undefined> {
  try {
    return await readFile(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw error
  }
}
