import { createHash } from 'node:crypto'
import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Download } from '#src/xray/programs/download.ts'
import { xrayVersion } from '#src/xray/programs/program.ts'
import { xrayBinary } from './xray-binary.ts'
import { zip } from './zip.ts'

const bytesOf = (version: string): Buffer => Buffer.from(version.split('.').map(Number))

/**
 * The Xray all tests run against, as one of another version: it is in the program as three bytes, which are found by
 * trying, since nothing marks them.
 * @param version three numbers below 256
 */
export async function xrayOfVersion(version: string): Promise<Buffer> {
  const program = await readFile(xrayBinary())
  const present = bytesOf(await xrayVersion(xrayBinary()))
  const dir = await mkdtemp(join(tmpdir(), 'xray-of-'))
  try {
    for (let at = program.lastIndexOf(present); at !== -1; at = program.lastIndexOf(present, at - 1)) {
      const path = join(dir, `xray-${at}`)
      const changed = Buffer.from(program)
      bytesOf(version).copy(changed, at)
      await writeFile(path, changed)
      await chmod(path, 0o755)
      if ((await xrayVersion(path).catch(() => '')) === version) return changed
      await rm(path)
    }
  } finally {
    await rm(dir, { recursive: true, force: true })
  }
  throw new Error(`${xrayBinary()} has its version elsewhere`)
}

/** A program that says it is this version of Xray, and otherwise does what these lines of shell say. */
export function scriptOfVersion(version: string, otherwise: string): Buffer {
  return Buffer.from(
    `#!/bin/sh\nif [ "$1" = version ]; then echo "Xray ${version} (stand-in)"; exit 0; fi\n${otherwise}\n`,
  )
}

/** Official releases by their versions, as GitHub would give them. */
export function releases(programs: Record<string, Buffer>): Download {
  const archives = new Map<string, Buffer>()
  for (const [version, program] of Object.entries(programs)) archives.set(version, zip('xray', program))
  return async (url) => {
    const version = /\/v(\d+\.\d+\.\d+)\/Xray-linux-\w[\w-]*\.zip(?:\.dgst)?$/.exec(url)?.[1] ?? ''
    const archive = archives.get(version)
    if (archive === undefined) throw new Error('there is no such file')
    if (!url.endsWith('.dgst')) return archive
    return Buffer.from(`MD5= 0\nSHA2-256= ${createHash('sha256').update(archive).digest('hex')}\n`)
  }
}
